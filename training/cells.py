"""The cells of a column, read as numbers or kept as texts."""

import math

import numpy as np
import numpy.typing as npt

from model_server.model.numbers import is_number, read
from training.errors import CellError


def check_filled(name: str, cells: list[str]) -> None:
    """See that no cell of a column is empty.

    Raises
    ------
    CellError
    """
    for row, cell in enumerate(cells, start=1):
        if not cell:
            raise CellError(name, row, "the cell is empty; fill or drop the row")


def is_text(name: str, cells: list[str]) -> bool:
    """Tell whether no cell of a column is a number.

    Raises
    ------
    CellError
        If a cell is empty.
    """
    check_filled(name, cells)
    return not any(map(is_number, cells))


def numbers(name: str, cells: list[str]) -> npt.NDArray[np.float64]:
    """Read a column of numbers.

    Raises
    ------
    CellError
        If a cell is empty, no number, or none that a model can read.
    """
    check_filled(name, cells)
    values = np.empty(len(cells))
    for row, cell in enumerate(cells, start=1):
        try:
            value = read(cell)
        except ValueError:
            raise CellError(
                name,
                row,
                f"{cell[:40]!r} is not a number, as others are in it; correct the cell",
            ) from None
        if not math.isfinite(value) or abs(value) > np.finfo(np.float32).max:
            raise CellError(
                name, row, f"{cell[:40]!r} is not finite, or beyond 3e38; fill or drop the row"
            )
        values[row - 1] = value
    return values
