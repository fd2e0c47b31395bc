"""The data set: a matrix, the target, and what each column is."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from model_server.model.columns import Columns, Instances, Matrix
from model_server.model.manifest import Feature, Target
from training.cells import is_text, numbers
from training.errors import TrainingError
from training.table import Table, check_columns

if TYPE_CHECKING:
    import pandas as pd

Task = Literal["regression", "classification"]

MINIMUM_ROWS = 20
MAXIMUM_CATEGORIES = 50
MINIMUM_ROWS_A_CLASS = 5


@dataclass(frozen=True)
class Dataset:
    """What a model is fitted on.

    Attributes
    ----------
    X : ndarray of shape (n_rows, n_features), float64
        A text is its index in the feature's categories.
    y : ndarray of shape (n_rows,)
        float64 for regression; int64 or str labels for classification.
    features : tuple of Feature
        In the order of the columns of `X`.
    target : Target
    rising : tuple of str
        The features with which the target can only rise.
    """

    X: Matrix
    y: npt.NDArray[Any]
    features: tuple[Feature, ...]
    target: Target
    rising: tuple[str, ...] = ()

    @property
    def task(self) -> Task:
        """What kind of target it is."""
        return "classification" if self.target.classes else "regression"

    @property
    def inputs(self) -> Any:
        """What an estimator is fitted on: `X`, or a data frame where there are texts."""
        if not any(feature.type == "category" for feature in self.features):
            return self.X
        return self.frame

    @property
    def instances(self) -> Instances:
        """The features as a server reads them."""
        return Columns(self.features).read(self.frame.to_numpy().tolist())

    @property
    def frame(self) -> "pd.DataFrame":
        """The features as a data frame, texts as texts."""
        import pandas as pd

        return pd.DataFrame(
            {
                feature.name: np.array(feature.categories, dtype=object)[column.astype(np.intp)]
                if feature.type == "category"
                else column
                for feature, column in zip(self.features, self.X.T, strict=True)
            }
        )

    @property
    def digest(self) -> str:
        """SHA-256 over names, matrix and target."""
        names = [feature.model_dump_json() for feature in self.features]
        text = "\n".join([*names, self.target.model_dump_json(), *map(str, self.y.tolist())])
        return hashlib.sha256(text.encode() + self.X.tobytes()).hexdigest()


def build(
    table: Table, target: str, features: Sequence[str] = (), task: Task | None = None
) -> Dataset:
    """Read the cells of a table as numbers or texts.

    A column in which no cell is a number is one of texts; a target of texts makes a classifier.

    Parameters
    ----------
    table : dict of str to list of str
    target : str
    features : sequence of str
        All other columns if empty.
    task : {"regression", "classification"}, optional
        By default what the target's cells suggest.

    Raises
    ------
    TrainingError
        If a column is missing, a cell can't be read, or there is too little to learn from.
    """
    names = list(features) or [name for name in table if name != target]
    check_columns(table, [target, *names])
    for name in names:
        if names.count(name) > 1:
            raise TrainingError(f"feature {name!r} is named twice; name it once")
    if target in names:
        raise TrainingError(f"{target!r} is the target; leave it out of the features")
    if not names:
        raise TrainingError(f"there is no column beside the target {target!r}; add a feature")
    rows = len(table[target])
    if rows < MINIMUM_ROWS:
        raise TrainingError(f"{rows} rows are too few; give at least {MINIMUM_ROWS}")
    columns = [_column(name, table[name]) for name in names]
    y, described = _target(target, table[target], task)
    return Dataset(
        np.column_stack([values for values, _ in columns]),
        y,
        tuple(feature for _, feature in columns),
        described,
    )


def describe(dataset: Dataset, columns: Mapping[str, Mapping[str, str]]) -> tuple[Feature, ...]:
    """Return the features with their description and unit from a table of columns."""
    return tuple(
        feature.model_copy(update=dict(columns.get(feature.name, {})))
        for feature in dataset.features
    )


def _column(name: str, cells: list[str]) -> tuple[npt.NDArray[np.float64], Feature]:
    if is_text(name, cells):
        categories = _categories(name, cells)
        codes = np.array([categories.index(cell) for cell in cells], dtype=np.float64)
        return codes, Feature(name=name, type="category", categories=categories)
    values = numbers(name, cells)
    return values, Feature(name=name, **_range(values))


def _target(name: str, cells: list[str], task: Task | None) -> tuple[npt.NDArray[Any], Target]:
    text = is_text(name, cells)
    if task == "regression" and text:
        raise TrainingError(f"target {name!r} holds texts; set the task to classification")
    if len(set(cells)) == 1:
        raise TrainingError(
            f"target {name!r} is {cells[0]!r} in every row; there is nothing to learn"
        )
    if text or task == "classification":
        labels = cells if text else _labels(numbers(name, cells))
        _check_classes(name, labels)
        y = np.array(labels)
        return y, Target(name=name, classes=tuple(np.unique(y).tolist()))
    values = numbers(name, cells)
    if np.ptp(values) == 0:
        raise TrainingError(
            f"target {name!r} is {values[0]:g} in every row; there is nothing to learn"
        )
    return values, Target(name=name, **_range(values))


def _categories(name: str, cells: list[str]) -> tuple[str, ...]:
    categories = tuple(sorted(set(cells)))
    if len(categories) > MAXIMUM_CATEGORIES:
        raise TrainingError(
            f"column {name!r} has {len(categories)} different texts, {MAXIMUM_CATEGORIES} at most "
            "can be learned from; leave it out of the features"
        )
    return categories


def _labels(values: npt.NDArray[np.float64]) -> list[int] | list[str]:
    if np.all(values == np.floor(values)):
        return [int(value) for value in values]
    return [f"{value:g}" for value in values]


def _check_classes(name: str, labels: Sequence[int | str]) -> None:
    classes = sorted(set(labels), key=str)
    if len(classes) > MAXIMUM_CATEGORIES:
        raise TrainingError(
            f"target {name!r} has {len(classes)} classes, {MAXIMUM_CATEGORIES} at most; "
            "set the task to regression to predict a number"
        )
    for label in classes:
        count = list(labels).count(label)
        if count < MINIMUM_ROWS_A_CLASS:
            raise TrainingError(
                f"target {name!r}: class {label!r} is in {count} rows, too few to cross-validate; "
                f"give at least {MINIMUM_ROWS_A_CLASS}"
            )


def _range(values: npt.NDArray[np.float64]) -> dict[str, Any]:
    return {
        "minimum": float(values.min()),
        "maximum": float(values.max()),
        "median": float(np.median(values)),
    }
