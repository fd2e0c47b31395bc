"""What is known of the built-in data beyond the schema; a model of other data does without.

The 506 areas of `data/areas.csv` are drawn behind the predictions of every model that predicts the
same column in dollars; the groups of the form and the titles are chosen here as well.
"""

import csv
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from pathlib import Path

from application.model import Model

TITLES = {"rooms": "By rooms", "boston": "By twelve facts"}
QUESTIONS = {
    "rooms": "What is a home worth, by its rooms?",
    "boston": "What is a home worth in such an area?",
}
GROUPS = {
    "The homes": ("RM", "AGE"),
    "The people and the town": ("LSTAT", "CRIM", "PTRATIO", "TAX"),
    "The land": ("ZN", "INDUS", "CHAS", "NOX"),
    "Getting around": ("DIS", "RAD"),
}
SAME_ROOMS = 0.25


@dataclass(frozen=True)
class Area:
    """One census tract: average rooms, and median home value in dollars."""

    rooms: float
    value: float


class Areas:
    """The areas of the data."""

    def __init__(self, areas: list[Area]) -> None:
        self.all = sorted(areas, key=lambda area: area.rooms)
        self._rooms = [area.rooms for area in self.all]
        self._values = sorted(area.value for area in areas)

    def like(self, rooms: float) -> list[Area]:
        """Return the areas with about so many rooms."""
        first = bisect_left(self._rooms, rooms - SAME_ROOMS)
        return self.all[first : bisect_right(self._rooms, rooms + SAME_ROOMS)]

    def below(self, value: float) -> int:
        """Return how many areas are worth less."""
        return bisect_left(self._values, value)


def fits(model: Model) -> bool:
    """Tell whether a model was made from the built-in data."""
    known = {name for names in GROUPS.values() for name in names}
    return (model.target.name, model.target.unit) == (
        "MEDV",
        "USD",
    ) and model.features.keys() <= known


def _read(path: Path) -> Areas:
    with path.open(newline="") as lines:
        return Areas(
            [Area(float(row["RM"]), float(row["MEDV"]) * 1000) for row in csv.DictReader(lines)]
        )


AREAS = _read(Path(__file__).parent / "data" / "areas.csv")
