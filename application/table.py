"""CSV files as people have them: columns found by their names, rows by their numbers.

Rows are counted as a spreadsheet does, where the header is row 1.
"""

import csv
import io
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Self, TextIO, TypeVar

from application import number
from application.cell import inert
from application.errors import BadTable
from application.form import ReadNumber, Value, read_value
from application.language import negotiate
from application.model import Model

BATCH_ROWS = 1000
BATCH_LENGTH = 256 * 1024
ROW_LENGTH_LIMIT = csv.field_size_limit()
"""In characters, which may be quoted line ends as well."""

_COMMA = negotiate("de")

Rows = dict[int, list[str]]
_Read = TypeVar("_Read", str, list[str])


class Table:
    """A CSV file whose first row names the model's features, among other columns or not.

    Numbers are written as the model server reads them. Where semicolons separate the columns, a
    comma may be the decimal mark as well, as spreadsheets of many countries write it.

    Parameters
    ----------
    text : text stream
        The file, read as the batches are asked for.
    model : Model
    first : int
        The row of the whole file that the first one after the header is.

    Raises
    ------
    BadTable
        If the header does not name every feature.
    """

    def __init__(self, text: TextIO, model: Model, first: int = 2) -> None:
        self.model = model
        self._row = first
        self._lines = _Lines(text)
        head = _read(self._lines) or ""
        self._delimiter = max(",;\t", key=re.sub('"[^"]*"', "", head).count)
        self._number: ReadNumber = _COMMA.read if self._delimiter == ";" else number.read
        self._reader = csv.reader(
            itertools.chain([head], self._lines), delimiter=self._delimiter, strict=True
        )
        self.header = _read(self._reader) or []
        names = [inert(name.strip()) for name in self.header]
        missing = [name for name in model.features if inert(name.strip()) not in names]
        if missing:
            raise BadTable(
                "The first row of the file must name the columns. "
                f"Missing there: {', '.join(missing)}."
            )
        self._places = [names.index(inert(name.strip())) for name in model.features]
        self._choices = [
            {inert(choice): choice for choice in feature.choices}
            | {choice: choice for choice in feature.choices}
            for feature in model.features.values()
        ]

    @classmethod
    def of(cls, model: Model) -> Self:
        """Return a table of a model's features alone, without rows."""
        head = io.StringIO(newline="")
        csv.writer(head).writerow(model.features)
        head.seek(0)
        return cls(head, model)

    def batches(self) -> Iterator[Rows]:
        """Yield the rows by their number, some at a time, without those that are blank.

        A batch of blank rows has none: what is done with a batch takes a bounded time.

        Raises
        ------
        BadTable
            If the rest of the file can't be read.
        """
        batch: Rows = {}
        n_rows = length = 0
        while (cells := self._next()) is not None:
            if cells:
                batch[self._row] = cells
            self._row += 1
            n_rows += 1
            length += self._lines.length
            if n_rows == BATCH_ROWS or length >= BATCH_LENGTH:
                yield batch
                batch, n_rows, length = {}, 0, 0
        if batch:
            yield batch

    def _next(self) -> list[str] | None:
        self._lines.length = 0
        return _read(self._reader)

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
        columns = zip(self.model.features.items(), self._places, self._choices, strict=True)
        for (name, feature), place, choices in columns:
            text = choices.get(cells[place], cells[place])
            try:
                values.append(read_value(feature, text, self._number))
            except ValueError as error:
                problems.append(f"{name}: {error}")
        if problems:
            raise ValueError("; ".join(problems))
        return values

    def write(self, rows: Iterable[Sequence[object]]) -> str:
        """Write rows as the file's own are written; a spreadsheet runs nothing of them."""
        text = io.StringIO()
        csv.writer(text, delimiter=self._delimiter, lineterminator="\r\n").writerows(
            [inert(cell) if isinstance(cell, str) else cell for cell in row] for row in rows
        )
        return text.getvalue()


class _Lines:
    """The lines of a file; those of one row are so long at most.

    Attributes
    ----------
    length : int
        What was read since the reader of the rows put it to 0.
    """

    def __init__(self, text: TextIO) -> None:
        self._text = text
        self.length = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._text.readline(ROW_LENGTH_LIMIT + 1 - self.length)
        self.length += len(line)
        if self.length > ROW_LENGTH_LIMIT:
            raise BadTable(f"A row of the file is longer than {ROW_LENGTH_LIMIT:,} characters.")
        if not line:
            raise StopIteration
        return line


def _read(source: Iterator[_Read]) -> _Read | None:
    try:
        return next(source, None)
    except (csv.Error, UnicodeDecodeError) as error:
        raise BadTable(f"The file is not CSV in UTF-8: {error}.") from None
