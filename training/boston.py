"""The built-in data: Boston housing, checked against its SHA-256, and the two models made of it."""

import hashlib
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from training import table
from training.card import Card
from training.dataset import Dataset, build, describe
from training.errors import TrainingError

DATA = Path(__file__).parent / "data" / "boston_housing.csv"


def models(data: Path = DATA) -> Iterator[tuple[Dataset, Card]]:
    """Yield the data set and the card of each built-in model.

    Parameters
    ----------
    data : Path
        Beside it are its ``.csv.sha256`` and its ``.toml``.

    Raises
    ------
    TrainingError
        If the file is not the one that its SHA-256 names.
    """
    _check_digest(data)
    cells = table.read(data)
    meaning = tomllib.loads(data.with_suffix(".toml").read_text(encoding="utf-8"))
    target = meaning["target"]
    name = target["column"]
    cells[name] = [str(Decimal(cell) * target["scale"]) for cell in cells[name]]
    described = {"description": target["description"], "unit": target["unit"]}
    card = {key: _frozen(value) for key, value in meaning["card"].items()}
    for model in meaning["models"]:
        dataset = build(cells, name, model["features"])
        yield (
            replace(
                dataset,
                features=describe(dataset, meaning["columns"]),
                target=dataset.target.model_copy(update=described),
                rising=tuple(model.get("rising", ())),
            ),
            Card(model["name"], model["title"], model["description"], **card),
        )


def _check_digest(data: Path) -> None:
    expected = data.with_suffix(".csv.sha256").read_text(encoding="ascii").split()[0]
    actual = hashlib.sha256(data.read_bytes()).hexdigest()
    if actual != expected:
        raise TrainingError(
            f"{data}: its SHA-256 is {actual}, not {expected}; restore the file from git"
        )


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
