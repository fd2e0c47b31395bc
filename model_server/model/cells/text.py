"""Free text."""

from typing import Any, ClassVar

from typing_extensions import override

from model_server.model.cells.cells import Misfit, TextualCells, shown


class TextCells(TextualCells):
    """A column of texts; a missing one is None."""

    dtype = "O"
    memory_factor: ClassVar[int] = 24
    """An object of Python's takes some 60 bytes, be the text but three of the body's."""

    @override
    def example(self) -> str:
        return "text"

    @override
    def schema(self) -> dict[str, Any]:
        return {"type": "string"}

    @override
    def _value(self, cell: Any) -> str:
        if not isinstance(cell, str):
            raise Misfit(f"{shown(cell)} is not a text")
        return cell
