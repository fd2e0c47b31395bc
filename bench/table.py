"""The report in Markdown: where and when, the table of figures, and the marks."""

import datetime
import re
import statistics
from collections.abc import Sequence

from bench import machine
from bench.marks import MARKS
from bench.rounds import Figures, Key
from bench.servers import CEILING, OURS, STOCK

Row = Sequence[str]


def place(report: str, page: str, name: str = "results") -> str:
    """Put a report between the comments of a page that has a place for it; else it is the page."""
    between = re.compile(rf"(<!-- {name} -->\n).*(<!-- end of {name} -->)", re.DOTALL)
    if not between.search(page):
        return report
    return between.sub(lambda marks: f"{marks[1]}\n{report}\n{marks[2]}", page)


def report(rounds: Sequence[Figures], seconds: int, others: float) -> str:
    """Write the medians of the rounds and of their ratios, and each mark.

    Parameters
    ----------
    rounds : sequence of dict of Key to float
    seconds : int
        How long each load was.
    others : float
        The share of the CPUs' time that other processes took.
    """
    date = datetime.datetime.now(datetime.UTC).date().isoformat()
    facts = {"date": date, **machine.facts()}
    header = ("model", "load", "figure", STOCK, CEILING, OURS, "÷ stock", "÷ ceiling")
    asked = ("mark", "asked", "measured", "over the rounds", "holds")
    return "\n".join(
        [
            *(f"- {name}: {fact}" for name, fact in facts.items()),
            f"- rounds: {len(rounds)}, {seconds} s a load; figures and ratios are their medians",
            f"- other processes took about {others:.0%} of the CPUs' time",
            "",
            *aligned(header, _figures(rounds), numbers=slice(3, None)),
            "",
            *aligned(asked, _marks(rounds), numbers=slice(2, 4)),
            "",
        ]
    )


def _figures(rounds: Sequence[Figures]) -> list[Row]:
    rows: list[Row] = []
    for key in rounds[0]:
        if key.server == OURS:
            stock, ceiling = (key._replace(server=server) for server in (STOCK, CEILING))
            values = [_median(rounds, other) for other in (stock, ceiling, key)]
            ratios = [_median(rounds, key, other) for other in (stock, ceiling)]
            rows.append((key.model, key.load, key.figure, *shown(*values, *ratios)))
    return rows


def _median(rounds: Sequence[Figures], key: Key, to: Key | None = None) -> float | None:
    if key not in rounds[0] or (to is not None and to not in rounds[0]):
        return None
    return statistics.median(
        figures[key] / (1 if to is None else figures[to]) for figures in rounds
    )


def _marks(rounds: Sequence[Figures]) -> list[Row]:
    rows: list[Row] = []
    for mark in MARKS:
        ratios = mark.ratios(rounds)
        spread = " to ".join(shown(min(ratios), max(ratios)))
        holds = "yes" if mark.holds(rounds) else "no"
        rows.append((mark.name, mark.asked, *shown(statistics.median(ratios)), spread, holds))
    return rows


def shown(*values: float | None) -> list[str]:
    """Write figures with three digits or so; nothing for one that is missing."""
    return [
        "" if value is None else f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
        for value in values
    ]


def aligned(header: Row, rows: Sequence[Row], numbers: slice) -> list[str]:
    """Write a table whose columns `numbers` are aligned to the right."""
    columns = range(len(header))
    right = columns[numbers]
    widths = [max(len(row[column]) for row in (header, *rows)) for column in columns]

    def line(cells: Row) -> str:
        aligned = [
            cells[column].rjust(widths[column])
            if column in right
            else cells[column].ljust(widths[column])
            for column in columns
        ]
        return f"| {' | '.join(aligned)} |"

    rule = ["-" * (widths[column] - 1) + (":" if column in right else "-") for column in columns]
    return [line(header), line(rule), *map(line, rows)]
