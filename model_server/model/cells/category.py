"""One of some labels."""

from typing import Any

from typing_extensions import override

from model_server.model.cells.cells import Misfit, TextualCells, shown
from model_server.model.manifest import Feature, Label

_TOLD = 20
"""So many categories are told to whoever sends another."""


class CategoryCells(TextualCells):
    """A column of labels; others than those of the training are refused, or left to the model.

    Cells that hold the same label share one object.
    """

    dtype = "O"

    def __init__(self, feature: Feature) -> None:
        super().__init__(feature)
        self._labels: dict[Any, Label] = {(type(each), each): each for each in feature.categories}
        self._texts = {str(each): each for each in feature.categories}

    @override
    def text(self, cell: str) -> Any:
        known = self._texts.get(cell)
        return self.value(cell) if known is None else known

    @override
    def example(self) -> Label:
        return self.feature.categories[0]

    @override
    def schema(self) -> dict[str, Any]:
        labels = list(self.feature.categories)
        kind = {} if any(not isinstance(each, str) for each in labels) else {"type": "string"}
        return {**kind, ("examples" if self.feature.unknown else "enum"): labels}

    @override
    def _value(self, cell: Any) -> Label:
        known = self._labels.get((type(cell), cell)) if isinstance(cell, Label) else None
        if known is not None:
            return known
        if self.feature.unknown and isinstance(cell, str):
            return cell
        raise Misfit(f"{shown(cell)} is not one of {self._told()}")

    @override
    def _is_absent(self, cell: Any) -> bool:
        return super()._is_absent(cell) and cell not in self._texts

    def _told(self) -> str:
        labels = self.feature.categories
        told = ", ".join(map(shown, labels[:_TOLD]))
        more = len(labels) - _TOLD
        return f"{told} and {more} more" if more > 0 else told
