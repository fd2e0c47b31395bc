"""Rows at which two implementations of one model are likeliest to differ."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from model_server.model.columns import Matrix
from training.dataset import Dataset
from training.trees import trees

MAXIMUM_ROWS = 20_000


def boundary_rows(estimator: Any, dataset: Dataset) -> Matrix:
    """Return the training rows, and rows where a tree could turn the other way.

    Covered are:

    - every split of a bare decision tree or an ensemble of them: a training row that comes by the
      split, with the feature at its threshold;
    - for every estimator, so also for trees behind scalers and encoders and for histogram
      boosting: every number halfway between two neighbouring values of a feature, which is where
      those trees split, in a random training row;

    each number as it is, and the next float32 and float64 below and above it. More than
    `MAXIMUM_ROWS` are sampled evenly, with a fixed seed.

    Returns
    -------
    X : ndarray of shape (n_rows, n_features), float64
        The training rows come first.
    """
    rng = np.random.default_rng(0)
    points = np.array([*_halves(dataset, rng), *_splits(estimator, dataset)])
    if len(points) * 5 > MAXIMUM_ROWS:
        points = points[np.sort(rng.choice(len(points), MAXIMUM_ROWS // 5, replace=False))]
    return np.vstack([dataset.X, *_neighbours(dataset.X, points)])


def _halves(dataset: Dataset, rng: np.random.Generator) -> Iterator[tuple[float, float, float]]:
    """Yield row, feature and number of each gap between neighbouring values."""
    for index, feature in enumerate(dataset.features):
        if feature.type == "number":
            values = np.unique(dataset.X[:, index])
            for number in (values[:-1] + values[1:]) / 2:
                yield float(rng.integers(len(dataset.X))), float(index), float(number)


def _splits(estimator: Any, dataset: Dataset) -> Iterator[tuple[float, float, float]]:
    """Yield row, feature and threshold of each split that a training row comes by."""
    X = dataset.X.astype(np.float32)
    for tree in trees(estimator):
        paths = tree.decision_path(X).tocsc()
        for node in np.flatnonzero((tree.feature >= 0) & (np.diff(paths.indptr) > 0)):
            yield paths.indices[paths.indptr[node]], tree.feature[node], tree.threshold[node]


def _neighbours(X: Matrix, points: npt.NDArray[np.float64]) -> Iterator[Matrix]:
    if not len(points):
        return
    rows, columns = points[:, :2].astype(np.intp).T
    numbers = points[:, 2]
    narrow = numbers.astype(np.float32)
    for moved in (
        numbers,
        np.nextafter(numbers, -np.inf),
        np.nextafter(numbers, np.inf),
        np.nextafter(narrow, np.float32(-np.inf)).astype(np.float64),
        np.nextafter(narrow, np.float32(np.inf)).astype(np.float64),
    ):
        probe = X[rows]
        probe[np.arange(len(rows)), columns] = moved
        yield probe
