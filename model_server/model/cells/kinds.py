"""Which kind of cells a feature has."""

from model_server.model.cells.boolean import BooleanCells
from model_server.model.cells.category import CategoryCells
from model_server.model.cells.cells import Cells
from model_server.model.cells.integer import IntegerCells
from model_server.model.cells.moment import MomentCells
from model_server.model.cells.number import NumberCells
from model_server.model.cells.text import TextCells
from model_server.model.cells.vector import VectorCells
from model_server.model.manifest import Feature

_KINDS: dict[str, type[Cells]] = {
    "boolean": BooleanCells,
    "category": CategoryCells,
    "datetime": MomentCells,
    "integer": IntegerCells,
    "number": NumberCells,
    "text": TextCells,
    "vector": VectorCells,
}


def of(feature: Feature) -> Cells:
    """Return the cells of a feature, by its type."""
    return _KINDS[feature.type](feature)
