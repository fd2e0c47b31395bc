"""The report in Markdown: where and when, the table of figures, and the marks."""

import datetime
import statistics
from collections.abc import Sequence

from bench import wrk
from bench.marks import MARKS
from bench.rounds import Figures, Key
from bench.servers import CEILING, OURS, STOCK
from harness import machine
from harness.table import Row, aligned, figures


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
    facts = {"date": date, **machine.facts(), "wrk": wrk.version()}
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
            rows.append((key.model, key.load, key.figure, *figures(*values, *ratios)))
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
        try:
            ratios = mark.ratios(rounds)
        except KeyError:  # of a model that was not measured
            continue
        spread = " to ".join(figures(min(ratios), max(ratios)))
        holds = "yes" if mark.holds(rounds) else "no"
        rows.append((mark.name, mark.asked, *figures(statistics.median(ratios)), spread, holds))
    return rows
