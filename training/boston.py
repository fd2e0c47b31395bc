"""The built-in data: Boston housing, checked against its SHA-256, and the two models made of it."""

import hashlib
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from model_server.model.numbers import is_number
from training import table
from training.dataset import Dataset, build, describe
from training.errors import TrainingError
from training.model_card import ModelCard
from training.table import Table

DATA = Path(__file__).parent / "data" / "boston_housing.csv"


def models(data: Path = DATA) -> Iterator[tuple[Dataset, ModelCard]]:
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
    meaning = _meaning(data)
    for model in meaning["models"]:
        yield _made(cells, meaning, model)


def rooms(cells: Table) -> tuple[Dataset, ModelCard]:
    """Return the data set and the card of the first built-in model, made of other rows.

    Parameters
    ----------
    cells : dict of str to list of str
        With the columns that the model reads, and its target, as in the built-in data.

    Raises
    ------
    TrainingError
        If it lacks a column, or holds texts in it.
    """
    meaning = _meaning(DATA)
    [model, *_] = meaning["models"]
    for name in (meaning["target"]["column"], *model["features"]):
        if name not in cells:
            raise TrainingError(
                f"there is no column {name!r}, which the built-in model {model['name']!r} is made "
                f"of; set the target to one of {', '.join(cells)}"
            )
    return _made(cells, meaning, model)


def scaled(cells: Table, meaning: Mapping[str, Any] | None = None) -> Table:
    """Return a table with its target in the unit that the models predict; what is no number stays.

    A table without the target is returned as it is.
    """
    target = (meaning or _meaning(DATA))["target"]
    name, scale = target["column"], target["scale"]
    return cells | {name: [_times(cell, scale) for cell in cells[name]]} if name in cells else cells


def _made(
    cells: Table, meaning: Mapping[str, Any], model: Mapping[str, Any]
) -> tuple[Dataset, ModelCard]:
    target = meaning["target"]
    dataset = build(scaled(cells, meaning), target["column"], model["features"], "regression")
    for feature in dataset.features:
        if feature.type != "number":
            raise TrainingError(
                f"column {feature.name!r} holds texts, where {model['name']!r} reads numbers; "
                "correct it or set the target"
            )
    described = {"description": target["description"], "unit": target["unit"]}
    card = {key: _frozen(value) for key, value in meaning["card"].items()}
    return (
        replace(
            dataset,
            features=describe(dataset, meaning["columns"]),
            target=dataset.target.model_copy(update=described),
            rising=tuple(model.get("rising", ())),
        ),
        ModelCard(model["name"], model["title"], model["description"], **card),
    )


def _meaning(data: Path) -> dict[str, Any]:
    return tomllib.loads(data.with_suffix(".toml").read_text(encoding="utf-8"))


def _times(cell: str, scale: int) -> str:
    if not is_number(cell):
        return cell
    try:
        return str(Decimal(cell) * scale)
    except ArithmeticError:  # beyond what Decimal counts to
        return cell


def _check_digest(data: Path) -> None:
    expected = data.with_suffix(".csv.sha256").read_text(encoding="ascii").split()[0]
    actual = hashlib.sha256(data.read_bytes()).hexdigest()
    if actual != expected:
        raise TrainingError(
            f"{data}: its SHA-256 is {actual}, not {expected}; restore the file from git"
        )


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
