"""Numbers of double precision."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from typing_extensions import override

from model_server.model import numbers
from model_server.model.cells.cells import Array, Cells, Misfit, shortened, shown
from model_server.model.numbers import SPACE


class NumberCells(Cells):
    """A column of finite numbers; a missing one is NaN."""

    dtype = "f8"
    _absent = math.nan
    _reads_nan = True

    @override
    def values(self, cells: Sequence[Any] | Array) -> Array | None:
        return self._checked(np.array(cells, np.float64))

    @override
    def texts(self, cells: Sequence[str]) -> Array | None:
        absent: list[int] = []
        if self.feature.missing:
            absent = [at for at, cell in enumerate(cells) if self._is_absent(cell.strip(SPACE))]
            cells = list(cells)
            for at in absent:
                cells[at] = "0"
        read = numbers.read_all(cells)
        if read is None:
            return None
        read[absent] = math.nan
        return self._checked(read)

    @override
    def written(self, cell: float) -> float | None:
        return None if math.isnan(cell) else float(cell)

    @override
    def example(self) -> float:
        return self.feature.median or 0.0

    @override
    def schema(self) -> dict[str, Any]:
        return {"type": "number"}

    @override
    def _value(self, cell: Any) -> float:
        if type(cell) is not float and type(cell) is not int:
            raise Misfit(f"{shown(cell)} is not a number")
        return self._finite(float(cell))

    @override
    def _text(self, cell: str) -> float:
        return self._finite(number(cell))

    def _finite(self, value: float) -> float:
        if not math.isfinite(value):
            raise Misfit(f"{value} is not a finite number")
        return value

    def _checked(self, column: Array) -> Array | None:
        finite = np.isfinite(column)
        if self.feature.missing:
            finite |= np.isnan(column)
        return column if finite.all() else None


def number(cell: str) -> float:
    """Read a text that is a number.

    Raises
    ------
    Misfit
    """
    written = cell.strip(SPACE)
    if not written:
        raise Misfit("is empty")
    try:
        value = numbers.read(written)
    except ValueError:
        raise Misfit(f"{shown(cell)} is not a number") from None
    if not math.isfinite(value):
        raise Misfit(f"{shortened(written)} is not a finite number")
    return value
