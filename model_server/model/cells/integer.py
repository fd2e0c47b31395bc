"""Whole numbers of 64 bits."""

import re
from typing import Any

import numpy as np
from typing_extensions import override

from model_server.model.cells.cells import Cells, Misfit, shown
from model_server.model.cells.number import number
from model_server.model.manifest import Feature
from model_server.model.numbers import SPACE

_LIMITS = np.iinfo(np.int64)
_EXACT = 2**53
"""From here on a float64 may stand for several whole numbers."""

_WHOLE = re.compile(r"[+-]?[0-9]{1,19}", re.ASCII)


class IntegerCells(Cells):
    """A column of whole numbers, none of them rounded; a missing one is None."""

    _reads_nan = True

    def __init__(self, feature: Feature) -> None:
        super().__init__(feature)
        self.dtype = "O" if feature.missing else "i8"

    @override
    def written(self, cell: Any) -> int | None:
        return None if cell is None else int(cell)

    @override
    def example(self) -> int:
        return round(self.feature.median or 0)

    @override
    def schema(self) -> dict[str, Any]:
        return {"type": "integer"}

    @override
    def _value(self, cell: Any) -> int:
        if type(cell) is float and cell.is_integer() and abs(cell) < _EXACT:
            return int(cell)
        if type(cell) is not int:
            raise Misfit(f"{shown(cell)} is not a whole number")
        if not _LIMITS.min <= cell <= _LIMITS.max:
            raise Misfit(f"{shown(cell)} is beyond 64 bits")
        return cell

    @override
    def _text(self, cell: str) -> int:
        written = cell.strip(SPACE)
        return self._value(int(written) if _WHOLE.fullmatch(written) else number(cell))
