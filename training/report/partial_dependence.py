"""The effect of a feature on the predictions."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.inspection import partial_dependence

from model_server.model.manifest import Feature
from training.dataset import Dataset

ROWS = 16
GRID = 30


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
    single = len(dataset.features) == 1
    inputs = dataset.inputs
    by_name = hasattr(inputs, "columns")
    strings = [feature.name for feature in dataset.features if feature.type == "string"]
    output = 0
    if len(dataset.target.classes) > 2:
        output = dataset.target.classes.index(subject(dataset))
    order = np.argsort(dataset.y, kind="stable")
    shown = order[np.linspace(0, len(order) - 1, min(ROWS, len(order))).round().astype(np.intp)]
    found = []
    for index, feature in enumerate(dataset.features):
        dependence = partial_dependence(
            estimator,
            inputs,
            [feature.name if by_name else index],
            categorical_features=strings or None,
            grid_resolution=10 * GRID if single else GRID,
            percentiles=(0, 1),
            kind="both",
        )
        found.append(
            Effect(
                feature,
                dependence["grid_values"][0],
                dependence["average"][output],
                dependence["individual"][output][shown],
            )
        )
    return found
