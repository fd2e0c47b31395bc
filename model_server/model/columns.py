"""Rows as clients send them, turned into the one matrix that every model reads.

The matrix ``X`` has shape (n_rows, n_features) and dtype float64, columns in the manifest's order.
A text is stood for by its index in the feature's ``categories``.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from model_server.errors import BadRequest
from model_server.model import numbers
from model_server.model.manifest import Feature

Matrix = npt.NDArray[np.float64]

_SHOWN = 40
"""The most characters of a client's value that a message echoes."""

_ROW_BYTES, _CELL_BYTES = 256 * 1024, 64
"""How long a row may be that has more to it than plain numbers, and what each feature adds."""


class Columns:
    """The features of one model, compiled for reading rows.

    Rows are counted from 1 in every message.

    Parameters
    ----------
    features : sequence of Feature
        In the order of the columns of ``X``.

    Attributes
    ----------
    features : tuple of Feature
    names : tuple of str
        Theirs.
    in_order : list of int
        Where each feature stands, where no header says otherwise.
    only_numbers : bool
        Whether no feature is a text.
    named_by_number : bool
        Whether a feature's name could be a number of a row.
    row_limit_bytes : int
        No row that means anything is longer: what is, is not taken apart to say what it holds.
    """

    def __init__(self, features: Sequence[Feature]) -> None:
        self.features = tuple(features)
        self.names = tuple(feature.name for feature in features)
        self.in_order = list(range(len(features)))
        self._codes = [
            {category: float(code) for code, category in enumerate(feature.categories)}
            if feature.type == "string"
            else None
            for feature in features
        ]
        self.named_by_number = any(map(numbers.is_number, self.names))
        self.only_numbers = all(feature.type == "number" for feature in features)
        texts = sum(map(len, self.names)) + sum(
            max(map(len, feature.categories), default=0) for feature in features
        )
        self.row_limit_bytes = _ROW_BYTES + _CELL_BYTES * len(features) + 8 * texts

    def matrix(self, instances: Iterable[Any], first: int = 1) -> Matrix:
        """Turn instances, each a list in feature order or an object by name, into ``X``.

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
        rows = [
            [
                self._code(cell, row, column)
                for column, cell in enumerate(self._cells(instance, row))
            ]
            for row, instance in enumerate(instances, start=first)
        ]
        if not rows:
            raise no_instances()
        return np.array(rows, dtype=np.float64)

    def matrix_of_numbers(self, array: npt.NDArray[Any], first: int = 1) -> Matrix:
        """Turn numbers of shape (n_rows, n_features) into ``X``; no feature is a text.

        Raises
        ------
        BadRequest
            If one is not finite.
        """
        X = array.astype(np.float64)
        return X if np.isfinite(X).all() else self.matrix(array.tolist(), first)

    def matrix_of_cells(self, cells: Sequence[Any]) -> Matrix | None:
        """Turn the cells of whole rows, numbers and texts as each feature has it, into ``X``.

        Returns
        -------
        ndarray of shape (n_rows, n_features), float64, or None
            If one does not fit.
        """
        n_features = len(self.names)
        return self._coded([cells[column::n_features] for column in range(n_features)])

    def matrix_of_texts(self, cells: Sequence[str], order: Sequence[int]) -> Matrix | None:
        """Turn the same into ``X`` where each is a text, and the features stand in another order.

        Parameters
        ----------
        cells : sequence of str
        order : sequence of int
            Where each feature stands.

        Returns
        -------
        ndarray of shape (n_rows, n_features), float64, or None
            If one does not fit.
        """
        columns: list[Any] = [cells[place :: len(order)] for place in order]
        for column, codes in enumerate(self._codes):
            if codes is None:
                columns[column] = numbers.read_all(columns[column])
                if columns[column] is None:
                    return None
        return self._coded(columns)

    def matrix_of_lines(self, lines: Iterable[Sequence[str]], first: int = 1) -> Matrix:
        """Turn rows of texts into ``X``, and say what is wrong with one.

        Raises
        ------
        BadRequest
            Naming the row and the feature that do not fit.
        """
        instances = (
            [self._number(cell, row, column) for column, cell in enumerate(line)]
            if len(line) == len(self.names)
            else line
            for row, line in enumerate(lines, start=first)
        )
        return self.matrix(instances, first)

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
        if len(set(header)) < len(header):
            twice = next(name for name in header if header.count(name) > 1)
            raise BadRequest(f"the header has feature {twice!r} twice", feature=twice)
        return [header.index(name) for name in self.names]

    def _coded(self, cells: Sequence[Any]) -> Matrix | None:
        """Turn the cells of each column into ``X``."""
        X = np.empty((len(cells[0]), len(cells)))
        for column, codes in enumerate(self._codes):
            own = cells[column]
            X[:, column] = own if codes is None else [codes.get(text, np.nan) for text in own]
        return X if np.isfinite(X).all() else None

    def _cells(self, instance: Any, row: int) -> Sequence[Any]:
        if isinstance(instance, Mapping):
            self._check_names(instance, row)
            return [instance[name] for name in self.names]
        if not isinstance(instance, list | tuple):
            raise BadRequest(
                f"row {row}: an instance is a list of {self.count()} or an object by "
                f"feature name, not {_shown(instance)}",
                row=row,
            )
        if len(instance) != len(self.names):
            raise self.wrong_count(row, len(instance))
        return instance

    def _code(self, cell: Any, row: int, column: int) -> float:
        codes = self._codes[column]
        if codes is not None:
            code = codes.get(cell) if isinstance(cell, str) else None
            if code is None:
                known = ", ".join(map(repr, codes))
                raise misfit(row, self.names[column], f"{_shown(cell)} is not one of {known}")
            return code
        if type(cell) is not float and type(cell) is not int:
            raise misfit(row, self.names[column], f"{_shown(cell)} is not a number")
        value = float(cell)
        if not math.isfinite(value):
            raise misfit(row, self.names[column], f"{value} is not a finite number")
        return value

    def _number(self, text: str, row: int, column: int) -> float | str:
        """Read one cell of a text format; a string feature's cell stays as it is."""
        if self._codes[column] is not None:
            return text
        written = text.strip(numbers.SPACE)
        if not written:
            raise misfit(row, self.names[column], "is empty")
        try:
            value = numbers.read(written)
        except ValueError:
            raise misfit(row, self.names[column], f"{_shown(text)} is not a number") from None
        if not math.isfinite(value):
            raise misfit(row, self.names[column], f"{_short(written)} is not a finite number")
        return value

    def _check_names(self, given: Collection[str], row: int | None = None) -> None:
        where = "the header" if row is None else f"row {row}"
        missing = [name for name in self.names if name not in given]
        unknown = [name for name in given if name not in self.names]
        if missing:
            raise BadRequest(
                f"{where}: feature {missing[0]!r} is missing", row=row, feature=missing[0]
            )
        if unknown:
            raise BadRequest(
                f"{where}: unknown feature {_shown(unknown[0])}; "
                f"the model reads {', '.join(self.names)}",
                row=row,
            )


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


def _shown(cell: Any) -> str:
    """Show a client's value shortly: it is echoed, so it must not be long."""
    names = {None: "null", True: "true", False: "false"}
    if isinstance(cell, str):
        cell = cell[:_SHOWN]  # a text's `repr` may be ten times as long
    return _short(names[cell] if cell is None or isinstance(cell, bool) else repr(cell))


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."
