"""The effect of a feature on the predictions."""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from model_server.model.manifest import Feature
from training.dataset import Dataset

ROWS = 16
GRID = 30

_PREDICTED_AT_ONCE = 100_000


@dataclass(frozen=True)
class Effect:
    """How the prediction goes with one feature, the others left as they are.

    Attributes
    ----------
    feature : Feature
    values : ndarray of shape (n_values,)
        The feature's values, from its minimum to its maximum, or its categories.
    mean : ndarray of shape (n_values,), float64
        Partial dependence: the mean prediction over all rows. For a classifier the prediction is
        the probability of `subject`.
    rows : ndarray of shape (ROWS, n_values), float64
        Individual conditional expectation of rows spread evenly over the target.
    """

    feature: Feature
    values: npt.NDArray[Any]
    mean: npt.NDArray[np.float64]
    rows: npt.NDArray[np.float64]

    @property
    def largest_fall(self) -> float:
        """How far the mean falls below where it was, as the feature rises."""
        return float(np.max(np.maximum.accumulate(self.mean) - self.mean))


def subject(dataset: Dataset) -> Any:
    """Return the class whose probability is shown: the second of two, else the most frequent."""
    classes = dataset.target.classes
    if len(classes) == 2:
        return classes[1]
    return max(classes, key=lambda label: int(np.sum(dataset.y == label)))


def effects(estimator: Any, dataset: Dataset) -> list[Effect]:
    """Return the effect of every feature; see Friedman (2001) and Goldstein et al. (2015)."""
    return [effect(estimator, dataset, index) for index in range(len(dataset.features))]


def effect(estimator: Any, dataset: Dataset, index: int) -> Effect:
    """Return the effect of the feature in column `index` of the matrix."""
    order = np.argsort(dataset.y, kind="stable")
    shown = order[np.linspace(0, len(order) - 1, min(ROWS, len(order))).round().astype(np.intp)]
    single = len(dataset.features) == 1
    values = _values(dataset.X[:, index], 10 * GRID if single else GRID)
    X = dataset.X[shown] if single else dataset.X  # with no other feature all rows are the same
    parts = np.array_split(values, math.ceil(len(X) * len(values) / _PREDICTED_AT_ONCE))
    varied = np.hstack([_vary(estimator, replace(dataset, X=X), index, part) for part in parts])
    feature = dataset.features[index]
    named = np.array(feature.categories)[values.astype(np.intp)] if feature.categories else values
    return Effect(feature, named, varied.mean(axis=0), varied if single else varied[shown])


def _values(column: npt.NDArray[np.float64], most: int) -> npt.NDArray[np.float64]:
    values = np.unique(column)
    return values if len(values) < most else np.linspace(values[0], values[-1], most)


def _vary(
    estimator: Any, dataset: Dataset, index: int, values: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return the prediction for each row with each of the values, shape (n_rows, n_values)."""
    X = np.repeat(dataset.X, len(values), axis=0)
    X[:, index] = np.tile(values, len(dataset.X))
    inputs = replace(dataset, X=X).inputs
    if dataset.target.classes:
        predicted = estimator.predict_proba(inputs)
        predicted = predicted[:, list(estimator.classes_).index(subject(dataset))]
    else:
        predicted = estimator.predict(inputs)
    return np.asarray(predicted, np.float64).reshape(len(dataset.X), len(values))
