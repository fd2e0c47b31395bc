"""Rows at which two implementations of one model are likeliest to differ."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from model_server.model.columns import Instances, Matrix, fields
from model_server.model.manifest import Feature
from model_server.packing.graphs.conversions import splits
from model_server.packing.graphs.trees import trees

MAXIMUM_ROWS = 20_000

_FEW = 8
_FAR = 1e6
UNSEEN = "a label that was not seen"
_ABSENT: dict[str, Any] = {"datetime": np.datetime64("NaT", "us"), "number": np.nan}
"""What a value of a type is that is missing; None of all others."""


def probes(estimator: Any, features: tuple[Feature, ...], X: Instances) -> Instances:
    """Return some rows, and all of `blocks`."""
    return np.concatenate([X, *blocks(estimator, features, X)])


def blocks(estimator: Any, features: tuple[Feature, ...], X: Instances) -> Iterator[Instances]:
    """Yield rows at which two implementations of one model are likeliest to differ.

    First one of zeros, then odd ones: far beyond what was seen, missing, or not seen. Then those
    where a tree could turn the other way.

    Covered are:

    - every split of a tree, of an ensemble of them, or of boosting, another library's too: a row
      that comes by the split if that can be told, with the feature at its threshold;
    - for every estimator, so also for trees behind scalers and encoders: every number halfway
      between two neighbouring values of a feature, which is where trees split, in a random row;

    each number as it is, the next float64 and float32 below and above it, and the last float64
    that is rounded to the same float32. More than `MAXIMUM_ROWS` are sampled evenly, with a fixed
    seed.

    Parameters
    ----------
    estimator : object
    features : tuple of Feature
    X : ndarray of shape (n_rows, n_features) or (n_rows,)

    Yields
    ------
    X : ndarray of shape (n_probes, n_features) or (n_probes,)
    """
    rng = np.random.default_rng(0)
    at_splits = _splits(estimator, X, rng) if X.ndim > 1 else ()
    points = np.array([*_halves(features, X, rng), *at_splits]).reshape(-1, 3)
    points = points[np.abs(points[:, 2]) < np.finfo(np.float32).max]  # a split may be at infinity
    most = MAXIMUM_ROWS // len(_NEIGHBOURS)
    if len(points) > most:
        points = points[np.sort(rng.choice(len(points), most, replace=False))]
    yield _zeros(features, X)
    yield from _odd(features, X)
    yield from _neighbours(X, points)


def _halves(
    features: tuple[Feature, ...], X: Instances, rng: np.random.Generator
) -> Iterator[tuple[float, float, float]]:
    """Yield row, feature and number of each gap between neighbouring values."""
    for index, (feature, column) in enumerate(zip(features, fields(X), strict=True)):
        if feature.type == "number":
            values = np.unique(column[np.isfinite(column)])
            for number in (values[:-1] + values[1:]) / 2:
                yield float(rng.integers(len(X))), float(index), float(number)


def _splits(
    estimator: Any, X: Matrix, rng: np.random.Generator
) -> Iterator[tuple[float, float, float]]:
    """Yield row, feature and threshold of each split of its trees."""
    for tree in trees(estimator):
        if tree.n_features != X.shape[1]:  # one of a chain, which reads other answers too
            continue
        paths = tree.decision_path(X.astype(np.float32)).tocsc()
        for node in np.flatnonzero((tree.feature >= 0) & (np.diff(paths.indptr) > 0)):
            yield paths.indices[paths.indptr[node]], tree.feature[node], tree.threshold[node]
    for step in getattr(estimator, "_predictors", ()):
        for predictor in step:
            split = predictor.nodes[predictor.nodes["is_leaf"] == 0]
            for node in split:
                yield float(rng.integers(len(X))), float(node["feature_idx"]), node["num_threshold"]
    for other in splits(estimator):
        for node in np.flatnonzero(~other.leaf):
            if node not in other.members:
                row, feature = float(rng.integers(len(X))), float(other.feature[node])
                yield row, feature, float(other.threshold[node])


def _odd(features: tuple[Feature, ...], X: Instances) -> Iterator[Instances]:
    """Yield rows in which a number is far off, a value is missing, or a category not known."""
    for place, feature in enumerate(features):
        odd: list[Any] = [UNSEEN] if feature.unknown else []
        if feature.type == "number":
            odd += [-_FAR, _FAR]
        if feature.missing:
            odd.append(_ABSENT.get(feature.type))
        for cell in odd:
            rows = X[:_FEW].copy()
            fields(rows)[place][:] = cell
            yield rows


def _zeros(features: tuple[Feature, ...], X: Instances) -> Instances:
    """Return the first row with its numbers set to 0."""
    row = X[:1].copy()
    for feature, column in zip(features, fields(row), strict=True):
        if feature.type in ("integer", "number", "vector"):
            column[:] = 0
    return row


def _narrow(numbers: npt.NDArray[np.float64], towards: float) -> npt.NDArray[np.float64]:
    return np.nextafter(numbers.astype(np.float32), np.float32(towards)).astype(np.float64)


def _last_rounded(numbers: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the last float64 before halfway to the next float32."""
    halfway = (numbers.astype(np.float32).astype(np.float64) + _narrow(numbers, np.inf)) / 2
    return np.nextafter(halfway, -np.inf)


_NEIGHBOURS: tuple[Callable[[Matrix], Matrix], ...] = (
    lambda numbers: numbers,
    lambda numbers: np.nextafter(numbers, -np.inf),
    lambda numbers: np.nextafter(numbers, np.inf),
    lambda numbers: _narrow(numbers, -np.inf),
    lambda numbers: _narrow(numbers, np.inf),
    _last_rounded,
)


def _neighbours(X: Instances, points: Matrix) -> Iterator[Instances]:
    rows, columns = points[:, :2].astype(np.intp).T
    for moved in _NEIGHBOURS:
        probe, numbers = X[rows], moved(points[:, 2])
        for index, column in enumerate(fields(probe)):
            here = columns == index
            column[here] = numbers[here]
        yield probe
