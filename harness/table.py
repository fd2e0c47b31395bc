"""Tables in Markdown, and the places in a page that they are put into."""

import re
from collections.abc import Sequence

Row = Sequence[str]


def place(report: str, page: str, name: str = "results") -> str:
    """Put a report between the comments of a page that has a place for it; else it is the page."""
    between = re.compile(rf"(<!-- {name} -->\n).*(<!-- end of {name} -->)", re.DOTALL)
    if not between.search(page):
        return report
    return between.sub(lambda marks: f"{marks[1]}\n{report}\n{marks[2]}", page)


def row(cells: Row) -> str:
    """Write a row; what a cell may not hold is escaped."""
    plain = (" ".join(cell.split()).replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(plain)} |"


def aligned(header: Row, rows: Sequence[Row], numbers: slice) -> list[str]:
    """Write a table whose columns `numbers` are aligned to the right."""
    columns = range(len(header))
    right = columns[numbers]
    widths = [max(len(each[column]) for each in (header, *rows)) for column in columns]

    def line(cells: Row) -> str:
        padded = [
            cells[column].rjust(widths[column])
            if column in right
            else cells[column].ljust(widths[column])
            for column in columns
        ]
        return f"| {' | '.join(padded)} |"

    rule = ["-" * (widths[column] - 1) + (":" if column in right else "-") for column in columns]
    return [line(header), line(rule), *map(line, rows)]


def figures(*values: float | None) -> list[str]:
    """Write figures with three digits or so; nothing for one that is missing."""
    return [
        "" if value is None else f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
        for value in values
    ]
