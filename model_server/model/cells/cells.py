"""What every kind of column has in common."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from model_server.model.manifest import Feature
from model_server.model.numbers import SPACE

_SHOWN = 40
"""The most characters of a client's value that a message echoes."""

MEMORY_FACTOR = 8
"""Most bytes that reading takes for each of a body's, where cells are numbers or labels."""

Array = npt.NDArray[Any]


class Misfit(ValueError):
    """A cell that is none of its column's; the text is a clause that says why."""


class Cells(ABC):
    """One column, compiled for reading.

    A value may be missing where the manifest says so: ``null`` in JSON, an empty cell in CSV, and
    ``NaN`` where numbers are. An empty text is a missing one in every format.

    Parameters
    ----------
    feature : Feature

    Attributes
    ----------
    dtype : str or tuple
        NumPy's, of the column's field in a record.
    memory_factor : int
        Most bytes that reading takes for each of a body's.
    """

    dtype: Any
    memory_factor: ClassVar[int] = MEMORY_FACTOR
    _absent: ClassVar[Any] = None
    _reads_nan: ClassVar[bool] = False

    def __init__(self, feature: Feature) -> None:
        self.feature = feature

    def value(self, cell: Any) -> Any:
        """Read a cell as a JSON parser gives it.

        Raises
        ------
        Misfit
        """
        return self._absent if self._is_absent(cell) else self._value(cell)

    def text(self, cell: str) -> Any:
        """Read a cell of a text format.

        Raises
        ------
        Misfit
        """
        return self._absent if self._is_absent(cell.strip(SPACE)) else self._text(cell)

    def values(self, cells: Sequence[Any] | Array) -> Array | None:
        """Read cells of the JSON type that is usual for this kind, or return None.

        Returns
        -------
        ndarray of shape (n_cells,) of `dtype`, or None if one does not fit
        """
        try:
            return self.array([self.value(cell) for cell in cells])
        except Misfit:
            return None

    def texts(self, cells: Sequence[str]) -> Array | None:
        """Read cells of a text format likewise."""
        try:
            return self.array([self.text(cell) for cell in cells])
        except Misfit:
            return None

    def array(self, read: Sequence[Any]) -> Array:
        """Return cells that were read, as the column's field has them."""
        column = np.empty(len(read), self.dtype)
        column[:] = read
        return column

    def written(self, cell: Any) -> Any:
        """Return a cell of a record as a client writes it in JSON."""
        return cell

    @abstractmethod
    def example(self) -> Any:
        """Return a cell as a client may write it in JSON."""

    @abstractmethod
    def schema(self) -> dict[str, Any]:
        """Describe a cell that is not missing as JSON Schema."""

    @abstractmethod
    def _value(self, cell: Any) -> Any: ...

    @abstractmethod
    def _text(self, cell: str) -> Any: ...

    def _is_absent(self, cell: Any) -> bool:
        if not self.feature.missing:
            return False
        if isinstance(cell, str):
            return cell == "" or (self._reads_nan and cell.lower() == "nan")
        return cell is None or is_nan(cell)


class TextualCells(Cells):
    """A column whose cells are texts in every format."""

    def text(self, cell: str) -> Any:
        """See `Cells.text`."""
        return self.value(cell)

    def _text(self, cell: str) -> Any:
        return self._value(cell)


def is_nan(cell: Any) -> bool:
    """Tell whether a cell is NaN, as a tensor has it."""
    return isinstance(cell, float) and math.isnan(cell)


def shown(cell: Any) -> str:
    """Show a client's value shortly: it is echoed, so it must not be long."""
    names = {None: "null", True: "true", False: "false"}
    if isinstance(cell, str):
        cell = cell[:_SHOWN]  # a text's `repr` may be ten times as long
    return shortened(names[cell] if cell is None or isinstance(cell, bool) else repr(cell))


def shortened(text: str) -> str:
    """Return a client's text, or its beginning."""
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."
