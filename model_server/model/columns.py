"""Rows as clients send them, turned into the one array that a model reads.

Where every feature is a number that is the matrix ``X`` of shape (n_rows, n_features) and dtype
float64, else records of shape (n_rows,) with a field a feature; columns in the manifest's order.
"""

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from model_server.errors import BadRequest
from model_server.model import numbers
from model_server.model.cells import kinds
from model_server.model.cells.cells import Array, Misfit, shown
from model_server.model.manifest import Cell, Feature

Matrix = npt.NDArray[np.float64]
Instances = npt.NDArray[Any]
"""A matrix or records; either is cut, joined and counted by rows."""

_ROW_BYTES, _CELL_BYTES = 256 * 1024, 64
"""How long a row may be that has more to it than plain numbers, and what each feature adds."""

_NUMBER_BYTES, _TEXT_BYTES = 32, 4 * 1024**2
"""How long a number of a vector is written, and a free text."""

_FEW = 64
"""Numbers at most of which Python sees sooner than NumPy that all are finite."""


class Columns:
    """The features of one model, compiled for reading rows.

    Instances are counted from 1 in every message.

    Parameters
    ----------
    features : sequence of Feature
        In the order of the columns of ``X``.
    ignores_surplus : bool, optional
        Whether columns that are no features may come with them, by their names, and are not read.

    Attributes
    ----------
    features : tuple of Feature
    names : tuple of str
        Theirs.
    in_order : list of int
        Where each feature stands, where no header says otherwise.
    only_numbers : bool
        Whether every feature is a number, so that rows are a matrix.
    complete : bool
        Whether no value may be missing.
    named_by_number : bool
        Whether a feature's name could be a number of a row.
    row_limit_bytes : int
        No row that means anything is longer: what is, is not taken apart to say what it holds.
    row_bytes : int
        What a row takes in memory, without the texts that it holds.
    memory_factor : int
        Most bytes that reading takes for each of a body's.
    """

    def __init__(self, features: Sequence[Feature], *, ignores_surplus: bool = False) -> None:
        self.features = tuple(features)
        self.ignores_surplus = ignores_surplus
        self.names = tuple(feature.name for feature in features)
        self.in_order = list(range(len(features)))
        self._cells = [kinds.of(feature) for feature in features]
        self.only_numbers = all(feature.type == "number" for feature in features)
        self.complete = not any(feature.missing for feature in features)
        self.named_by_number = any(map(numbers.is_number, self.names))
        self._record = np.dtype([(each.feature.name, each.dtype) for each in self._cells])
        self.row_bytes = self._record.itemsize
        self.memory_factor = max(cells.memory_factor for cells in self._cells)
        self.row_limit_bytes = _ROW_BYTES + sum(map(_longest_bytes, features))

    def empty(self, n_rows: int) -> Instances:
        """Return room for so many rows."""
        if self.only_numbers:
            return np.empty((n_rows, len(self.names)))
        return np.empty(n_rows, self._record)

    def read(self, instances: Iterable[Any], first: int = 1) -> Instances:
        """Read instances, each a list in feature order, an object by name, or an only value.

        Parameters
        ----------
        instances : iterable
        first : int
            The number of the first row.

        Raises
        ------
        BadRequest
            Naming the row and the feature that do not fit.
        """
        return self._of_rows(
            [
                self._value(cell, row, column)
                for column, cell in enumerate(self._cells_of(instance, row))
            ]
            for row, instance in enumerate(instances, start=first)
        )

    def read_matrix(self, array: npt.NDArray[Any], first: int = 1) -> Instances:
        """Read numbers of shape (n_rows, n_features).

        Raises
        ------
        BadRequest
            If one does not fit.
        """
        if self.only_numbers:
            X = array.astype(np.float64)
            if _are_finite(X) or self._fits(X):
                return X
        return self.read(array.tolist(), first)

    def read_column(
        self, place: int, cells: Sequence[Any] | Array, first: int, *, usual: bool
    ) -> Array:
        """Read a feature's cells.

        Parameters
        ----------
        place : int
            Of the feature.
        cells : sequence or ndarray
        first : int
            The number of the first row.
        usual : bool
            Whether they are of the types that are usual for the feature.

        Returns
        -------
        ndarray of shape (n_cells, ...), as the feature's field has them

        Raises
        ------
        BadRequest
            Naming the row that does not fit.
        """
        column = self._cells[place].values(cells) if usual else None
        if column is not None:
            return column
        one_by_one = cells.tolist() if isinstance(cells, np.ndarray) else cells
        return self._cells[place].array(
            [self._value(cell, row, place) for row, cell in enumerate(one_by_one, start=first)]
        )

    def read_values(self, cells: Sequence[Any]) -> Instances | None:
        """Read the cells of whole rows, of the JSON types that are usual for the features.

        Returns
        -------
        ndarray of shape (n_rows, n_features) or (n_rows,), or None
            If one does not fit.
        """
        n_features = len(self.names)
        return self._of_columns(
            each.values(cells[place::n_features]) for place, each in enumerate(self._cells)
        )

    def read_texts(
        self, cells: Sequence[str], order: Sequence[int], width: int
    ) -> Instances | None:
        """Read the same where each is a text, and the features stand in another order.

        Parameters
        ----------
        cells : sequence of str
        order : sequence of int
            Where each feature stands.
        width : int
            How many cells a row has.

        Returns
        -------
        ndarray of shape (n_rows, n_features) or (n_rows,), or None
            If one does not fit.
        """
        return self._of_columns(
            each.texts(cells[place::width]) for place, each in zip(order, self._cells, strict=True)
        )

    def read_lines(self, lines: Iterable[Sequence[str]], first: int = 1) -> Instances:
        """Read rows of texts, and say what is wrong with one.

        Raises
        ------
        BadRequest
            Naming the row and the feature that do not fit.
        """
        return self._of_rows(
            [self._text(cell, row, column) for column, cell in enumerate(self._cells_of(line, row))]
            for row, line in enumerate(lines, start=first)
        )

    def written(self, rows: Instances) -> list[tuple[Cell, ...]]:
        """Return rows as a client writes them, in feature order."""
        columns = [
            [cells.written(cell) for cell in column]
            for cells, column in zip(self._cells, fields(rows), strict=True)
        ]
        return list(zip(*columns, strict=True))

    def example(self) -> dict[str, Any]:
        """Return a typical instance: the median of each number, the first of each category."""
        return {cells.feature.name: cells.example() for cells in self._cells}

    def schemas(self) -> list[dict[str, Any]]:
        """Describe the cells of each feature as JSON Schema."""
        return [cells.schema() for cells in self._cells]

    def count(self) -> str:
        """Say how many values a row has."""
        return f"{len(self.names)} value{'s' if len(self.names) > 1 else ''}"

    def wrong_count(self, row: int, given: int) -> BadRequest:
        """Return the error of a row with so many values."""
        return BadRequest(
            f"row {row}: {self.count()} expected ({', '.join(self.names)}), {given} given", row=row
        )

    def is_header(self, line: Sequence[str]) -> bool:
        """Tell whether a first line of texts names the columns rather than being a row."""
        if any(name in line for name in self.names):
            return True
        return not any(map(numbers.is_number, line)) and self.only_numbers

    def order(self, header: Sequence[str]) -> list[int]:
        """Return, for each feature, where it stands in `header`.

        Raises
        ------
        BadRequest
            If a feature is missing, twice there or unknown.
        """
        self._check_names(header)
        places = {name: place for place, name in enumerate(header)}
        if len(places) < len(header):
            counts = Counter(header)
            for name in self.names:
                if counts[name] > 1:
                    raise BadRequest(f"the header has feature {name!r} twice", feature=name)
        return [places[name] for name in self.names]

    def _fits(self, X: Matrix) -> bool:
        columns = zip(self._cells, X.T, strict=True)
        return all(cells.values(column) is not None for cells, column in columns)

    def _of_rows(self, rows: Iterable[list[Any]]) -> Instances:
        """Return rows of cells that were read as one array."""
        columns = list(zip(*rows, strict=True))
        if not columns:
            raise no_instances()
        return self._joined(
            [cells.array(column) for cells, column in zip(self._cells, columns, strict=True)]
        )

    def _of_columns(self, columns: Iterable[Array | None]) -> Instances | None:
        """Return columns as one array, or None at the first that does not fit."""
        read: list[Array] = []
        for column in columns:
            if column is None:
                return None
            read.append(column)
        return self._joined(read)

    def _joined(self, columns: Sequence[Array]) -> Instances:
        if self.only_numbers:
            return np.column_stack(columns)
        rows = np.empty(len(columns[0]), self._record)
        for name, column in zip(self.names, columns, strict=True):
            rows[name] = column
        return rows

    def _cells_of(self, instance: Any, row: int) -> Sequence[Any]:
        if isinstance(instance, Mapping):
            self._check_names(instance, row)
            return [instance[name] for name in self.names]
        if not isinstance(instance, list | tuple):
            if len(self.names) == 1:
                return [instance]
            raise BadRequest(
                f"row {row}: an instance is a list of {self.count()} or an object by "
                f"feature name, not {shown(instance)}",
                row=row,
            )
        if len(instance) != len(self.names):
            raise self.wrong_count(row, len(instance))
        return instance

    def _value(self, cell: Any, row: int, column: int) -> Any:
        try:
            return self._cells[column].value(cell)
        except Misfit as problem:
            raise misfit(row, self.names[column], str(problem)) from None

    def _text(self, cell: str, row: int, column: int) -> Any:
        try:
            return self._cells[column].text(cell)
        except Misfit as problem:
            raise misfit(row, self.names[column], str(problem)) from None

    def _check_names(self, given: Collection[str], row: int | None = None) -> None:
        where = "the header" if row is None else f"row {row}"
        missing = [name for name in self.names if name not in given]
        if missing:
            raise BadRequest(
                f"{where}: feature {missing[0]!r} is missing", row=row, feature=missing[0]
            )
        unknown = [name for name in given if name not in self.names]
        if unknown and not self.ignores_surplus:
            raise BadRequest(
                f"{where}: unknown feature {shown(unknown[0])}; "
                f"the model reads {', '.join(self.names)}",
                row=row,
            )


def _are_finite(X: Matrix) -> bool:
    """Tell whether all numbers are finite."""
    if X.size <= _FEW:
        return all(map(math.isfinite, X.ravel().tolist()))
    return bool(np.isfinite(X).all())


def misfit(row: int, feature: str, problem: str) -> BadRequest:
    """Return the error of one cell: its row, counted from 1, its feature, and a clause."""
    return BadRequest(f"row {row}, feature {feature!r}: {problem}", row=row, feature=feature)


def no_instances() -> BadRequest:
    """Return the error of a request without rows."""
    return BadRequest("there are no instances: send at least one row")


def too_long(row: int, columns: Columns) -> BadRequest:
    """Return the error of a row that is not taken apart."""
    problem = f"is longer than {columns.row_limit_bytes} bytes; send {columns.count()} a row"
    return BadRequest(f"row {row} {problem}", row=row)


def fields(rows: Instances) -> list[Array]:
    """Return views of the cells of each feature, in its order."""
    names = rows.dtype.names
    return [rows[name] for name in names] if names else list(rows.T)


def _longest_bytes(feature: Feature) -> int:
    """Return how long a name and a value may be that mean anything."""
    labels = max((len(str(label)) for label in feature.categories), default=0)
    listed = _NUMBER_BYTES * feature.length
    free = _TEXT_BYTES if feature.type == "text" or feature.unknown else 0
    return _CELL_BYTES + 8 * (len(feature.name) + labels) + listed + free
