"""Lists of numbers, each as long as the others."""

from typing import Any

import numpy as np
import orjson
from typing_extensions import override

from model_server.model.cells.cells import Cells, Misfit, shown
from model_server.model.manifest import Feature


class VectorCells(Cells):
    """A column of lists of finite numbers; in a text format each is written as JSON."""

    def __init__(self, feature: Feature) -> None:
        super().__init__(feature)
        self._length = feature.length
        self.dtype = ("f8", (feature.length,))

    @override
    def written(self, cell: Any) -> tuple[float, ...]:
        return tuple(cell.tolist())

    @override
    def example(self) -> list[float]:
        return [0.0] * self._length

    @override
    def schema(self) -> dict[str, Any]:
        items = {"minItems": self._length, "maxItems": self._length}
        return {"type": "array", "items": {"type": "number"}, **items}

    @override
    def _value(self, cell: Any) -> Any:
        if not isinstance(cell, list | tuple):
            raise Misfit(f"{shown(cell)} is not a list of {self._length} numbers")
        if len(cell) != self._length:
            raise Misfit(f"a list of {self._length} numbers expected, one of {len(cell)} given")
        for number in cell:
            if type(number) is not float and type(number) is not int:
                raise Misfit(f"{shown(number)} in its list is not a number")
        numbers = np.array(cell, np.float64)
        if not np.isfinite(numbers).all():
            raise Misfit("a number in its list is not finite")
        return numbers

    @override
    def _text(self, cell: str) -> Any:
        try:
            return self._value(orjson.loads(cell))
        except orjson.JSONDecodeError:
            raise Misfit(f"{shown(cell)} is not a list in JSON, such as [0.5, 1]") from None
