"""True or false."""

from typing import Any

from typing_extensions import override

from model_server.model.cells.cells import Cells, Misfit, shown
from model_server.model.manifest import Feature
from model_server.model.numbers import SPACE

_WORDS = {"true": True, "false": False, "1": True, "0": False}


class BooleanCells(Cells):
    """A column of truths, which may be written 1 and 0; a missing one is None."""

    def __init__(self, feature: Feature) -> None:
        super().__init__(feature)
        self.dtype = "O" if feature.missing else "?"

    @override
    def written(self, cell: Any) -> bool | None:
        return None if cell is None else bool(cell)

    @override
    def example(self) -> bool:
        return False

    @override
    def schema(self) -> dict[str, Any]:
        return {"type": "boolean"}

    @override
    def _value(self, cell: Any) -> bool:
        if isinstance(cell, bool | int | float) and cell in (0, 1):
            return bool(cell)
        raise Misfit(f"{shown(cell)} is not true or false")

    @override
    def _text(self, cell: str) -> bool:
        truth = _WORDS.get(cell.strip(SPACE).lower())
        if truth is None:
            raise Misfit(f"{shown(cell)} is not true or false")
        return truth
