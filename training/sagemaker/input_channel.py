"""A channel: the CSV files of one folder as a table."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from model_server.model.numbers import is_number
from training import table
from training.errors import CellError, TrainingError
from training.table import Table


@dataclass(frozen=True)
class InputChannel:
    """What a channel holds.

    Attributes
    ----------
    name : str
    cells : dict of str to list of str
        The rows of all its files, one after the other.
    rows : dict of str to int
        How many are of each file, by its path in the folder.
    """

    name: str
    cells: Table
    rows: dict[str, int]

    @property
    def source(self) -> str:
        """Where the rows are from: the file, or how many."""
        return next(iter(self.rows)) if len(self.rows) == 1 else f"{len(self.rows)} CSV files"

    def told(self, error: TrainingError) -> TrainingError:
        """Return an error of the table as one of the channel, a cell's with its file and row."""
        if isinstance(error, CellError):
            file, row = self._place(error.row)
            return TrainingError(
                f"channel {self.name!r}: {file}: {CellError(error.column, row, error.problem)}"
            )
        return TrainingError(f"channel {self.name!r}: {error}")

    def _place(self, row: int) -> tuple[str, int]:
        for file, rows in self.rows.items():
            if row <= rows:
                return file, row
            row -= rows
        raise AssertionError(row)


def read(name: str, folder: Path) -> InputChannel:
    """Read every file of a folder and its folders whose name ends with ``.csv``, sorted.

    The header of each names the same columns, in any order. What is hidden is left out.

    Raises
    ------
    TrainingError
        If there is no such file, or one can't be read, has no header or another one.
    """
    try:
        tables = {file.relative_to(folder).as_posix(): _table(file) for file in _files(folder)}
        _check_columns(tables)
    except TrainingError as error:
        raise TrainingError(f"channel {name!r}: {error}") from error
    columns = next(iter(tables.values()))
    return InputChannel(
        name,
        {column: [*chain(*(each[column] for each in tables.values()))] for column in columns},
        {file: len(next(iter(each.values()))) for file, each in tables.items()},
    )


def _files(folder: Path) -> list[Path]:
    found = sorted(
        path for path in _walk(folder) if path.suffix.lower() == ".csv" and path.is_file()
    )
    if not found:
        raise TrainingError(f"{folder}: holds no CSV file; give it one whose name ends with .csv")
    return found


def _walk(folder: Path) -> Iterator[Path]:
    try:
        for place, folders, files in os.walk(folder, onerror=_refuse):
            folders[:] = [each for each in folders if not each.startswith(".")]
            yield from (Path(place, each) for each in files if not each.startswith("."))
    except OSError as error:
        raise TrainingError(
            f"{error.filename}: can't be read ({error.strerror}); check the channel's data"
        ) from error


def _refuse(error: OSError) -> None:
    raise error


def _table(file: Path) -> Table:
    cells = table.read(file)
    if all(map(is_number, cells)):
        raise TrainingError(
            f"{file}: its first line holds only numbers, so it is no header; "
            "name the columns in the first line"
        )
    return cells


def _check_columns(tables: dict[str, Table]) -> None:
    (first, columns), *others = tables.items()
    for file, cells in others:
        for name in (*columns, *cells):
            if (name in columns) != (name in cells):
                has, lacks = (first, file) if name in columns else (file, first)
                raise TrainingError(
                    f"column {name!r} is in {has} but not in {lacks}; "
                    "give every file the same columns"
                )
