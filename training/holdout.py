"""Rows held out of the training, read as its own were, and the scores of a model on them."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from model_server.model.manifest import Feature, Target
from model_server.model.numbers import read
from training.cells import check_filled, numbers
from training.dataset import Dataset
from training.errors import CellError, TrainingError
from training.table import Table, check_columns

MINIMUM_ROWS = 2


def build(table: Table, training: Dataset) -> Dataset:
    """Read the cells of a table as those of the training's were.

    Raises
    ------
    TrainingError
        If a column is missing, a cell can't be read or has a text that the training's have not.
    """
    target = training.target
    check_columns(table, [target.name, *(feature.name for feature in training.features)])
    cells = table[target.name]
    if len(cells) < MINIMUM_ROWS:
        raise TrainingError(f"{len(cells)} row is too few; give at least {MINIMUM_ROWS}")
    X = np.column_stack([_column(feature, table[feature.name]) for feature in training.features])
    y = _labels(target, cells) if target.classes else numbers(target.name, cells)
    return replace(training, X=X, y=y)


def evaluate(estimator: Any, held: Dataset) -> dict[str, float]:
    """Score a fitted estimator on rows held out."""
    from training.scores import score  # slow to import, and mistakes are told at once

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # it may predict a class that no row is of
        return score(estimator, held.inputs, held.y)


def _column(feature: Feature, cells: list[str]) -> npt.NDArray[np.float64]:
    if feature.type == "number":
        return numbers(feature.name, cells)
    codes = {category: float(code) for code, category in enumerate(feature.categories)}
    return np.array([*_known(feature.name, cells, cells, codes)])


def _labels(target: Target, cells: list[str]) -> npt.NDArray[Any]:
    whole = isinstance(target.classes[0], int)
    keys = [_key(cell, whole=whole) for cell in cells]
    return np.array([*_known(target.name, cells, keys, {label: label for label in target.classes})])


def _key(cell: str, *, whole: bool) -> str | float:
    """Return what a cell is as a label: 1 and 1.0 are the same class."""
    try:
        value = read(cell)
    except ValueError:
        return cell
    return value if whole else f"{value:g}"


def _known(
    name: str, cells: list[str], keys: Sequence[Any], known: Mapping[Any, Any]
) -> Iterator[Any]:
    check_filled(name, cells)
    for row, (cell, key) in enumerate(zip(cells, keys, strict=True), start=1):
        if key not in known:
            raise CellError(
                name,
                row,
                f"{cell[:40]!r} is in no row of the training, which has "
                f"{', '.join(map(str, known))}; correct the cell or drop the row",
            )
        yield known[key]
