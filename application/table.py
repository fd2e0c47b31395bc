"""CSV files as people have them: columns found by their names, rows by their numbers.

Rows are counted as a spreadsheet does, where the header is row 1.
"""

import csv
import io
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Self, TypeVar

from application import number
from application.errors import BadTable
from application.form import ReadNumber, Value, read_value
from application.language import negotiate
from application.model import Model

BATCH_ROWS = 1000

_COMMA = negotiate("de")

Rows = dict[int, list[str]]
_Read = TypeVar("_Read", str, list[str])


class Table:
    """A CSV file whose first row names the model's features, among other columns or not.

    Numbers are written as the model server reads them. Where semicolons separate the columns, a
    comma may be the decimal mark as well, as spreadsheets of many countries write it.

    Parameters
    ----------
    lines : iterable of str
        The file, read as the batches are asked for.
    model : Model
    first : int
        The row of the whole file that the first one after the header is.

    Raises
    ------
    BadTable
        If the header does not name every feature.
    """

    def __init__(self, lines: Iterable[str], model: Model, first: int = 2) -> None:
        self.model = model
        self._row = first
        source = iter(lines)
        head = _read(source) or ""
        self._delimiter = max(",;\t", key=re.sub('"[^"]*"', "", head).count)
        self._number: ReadNumber = _COMMA.read if self._delimiter == ";" else number.read
        self._reader = csv.reader(
            itertools.chain([head], source), delimiter=self._delimiter, strict=True
        )
        self.header = _read(self._reader) or []
        names = [name.strip() for name in self.header]
        missing = [name for name in model.features if name not in names]
        if missing:
            raise BadTable(
                "The first row of the file must name the columns. "
                f"Missing there: {', '.join(missing)}."
            )
        self._places = [names.index(name) for name in model.features]

    @classmethod
    def of(cls, model: Model) -> Self:
        """Return a table of a model's features alone, without rows."""
        head = io.StringIO()
        csv.writer(head).writerow(model.features)
        return cls([head.getvalue()], model)

    def batches(self) -> Iterator[Rows]:
        """Yield the rows by their number, some at a time, without those that are blank.

        Raises
        ------
        BadTable
            If the rest of the file can't be read.
        """
        batch: Rows = {}
        while (cells := _read(self._reader)) is not None:
            if cells:
                batch[self._row] = cells
            self._row += 1
            if len(batch) == BATCH_ROWS:
                yield batch
                batch = {}
        if batch:
            yield batch

    def values(self, cells: Sequence[str]) -> list[Value]:
        """Read what the model needs of a row, in the order of its features.

        Raises
        ------
        ValueError
            With everything that is wrong, each by its column.
        """
        if len(cells) != len(self.header):
            raise ValueError(f"{len(cells)} cells, where the first row has {len(self.header)}")
        values: list[Value] = []
        problems = []
        for (name, feature), place in zip(self.model.features.items(), self._places, strict=True):
            try:
                values.append(read_value(feature, cells[place], self._number))
            except ValueError as error:
                problems.append(f"{name}: {error}")
        if problems:
            raise ValueError("; ".join(problems))
        return values

    def write(self, rows: Iterable[Sequence[object]]) -> str:
        """Write rows as the file's own are written."""
        text = io.StringIO()
        csv.writer(text, delimiter=self._delimiter, lineterminator="\r\n").writerows(rows)
        return text.getvalue()


def _read(source: Iterator[_Read]) -> _Read | None:
    try:
        return next(source, None)
    except (csv.Error, UnicodeDecodeError) as error:
        raise BadTable(f"The file is not CSV in UTF-8: {error}.") from None
