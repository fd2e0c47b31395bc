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


class Columns:
    """The features of one model, compiled for reading rows.

    Rows are counted from 1 in every message.

    Parameters
    ----------
    features : sequence of Feature
        In the order of the columns of ``X``.
    """

    def __init__(self, features: Sequence[Feature]) -> None:
        self.features = tuple(features)
        self.names = tuple(feature.name for feature in features)
        self._codes = [
            {category: float(code) for code, category in enumerate(feature.categories)}
            if feature.type == "string"
            else None
            for feature in features
        ]
        self.only_numbers = not any(self._codes)

    def matrix(self, instances: Iterable[Any]) -> Matrix:
        """Turn instances, each a list in feature order or an object by name, into ``X``.

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
            for row, instance in enumerate(instances, start=1)
        ]
        if not rows:
            raise BadRequest("there are no instances: send at least one row")
        return np.array(rows, dtype=np.float64)

    def matrix_of_numbers(self, array: npt.NDArray[Any]) -> Matrix:
        """Turn an array of numbers of shape (n_rows, n_features) into ``X``.

        Raises
        ------
        BadRequest
            If the shape or a value does not fit.
        """
        if array.ndim != 2 or array.shape[1] != len(self.names) or not self.only_numbers:
            return self.matrix(array.tolist())
        if not len(array) or not np.isfinite(X := array.astype(np.float64)).all():
            return self.matrix(array.tolist())
        return X

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

    def number(self, text: str, row: int, column: int) -> float | str:
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

    def _cells(self, instance: Any, row: int) -> Sequence[Any]:
        if isinstance(instance, Mapping):
            self._check_names(instance, row)
            return [instance[name] for name in self.names]
        if not isinstance(instance, list | tuple):
            raise BadRequest(
                f"row {row}: an instance is a list of {self._count()} or an object by "
                f"feature name, not {_shown(instance)}",
                row=row,
            )
        if len(instance) != len(self.names):
            raise BadRequest(
                f"row {row}: {self._count()} expected ({', '.join(self.names)}), "
                f"{len(instance)} given",
                row=row,
            )
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

    def _count(self) -> str:
        return f"{len(self.names)} value{'s' if len(self.names) > 1 else ''}"


def misfit(row: int, feature: str, problem: str) -> BadRequest:
    """Return the error of one cell: its row, counted from 1, its feature, and a clause."""
    return BadRequest(f"row {row}, feature {feature!r}: {problem}", row=row, feature=feature)


def _shown(cell: Any) -> str:
    """Show a client's value shortly: it is echoed, so it must not be long."""
    names = {None: "null", True: "true", False: "false"}
    return _short(names[cell] if cell is None or isinstance(cell, bool) else repr(cell))


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "..."
