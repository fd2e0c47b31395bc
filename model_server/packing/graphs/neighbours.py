"""Nearest neighbours and centroids, by distances in doubles."""

import functools
from typing import Any

import numpy as np
from onnx import TensorProto
from sklearn.neighbors import (
    KNeighborsClassifier,
    KNeighborsRegressor,
    NearestCentroid,
    RadiusNeighborsRegressor,
)

from model_server.packing.graphs.operators import Conversion, Operators
from model_server.packing.graphs.tree_ensemble import Floats

_TRIED_ROWS = 1000
_AS_FAR = 1e-12
"""Of a distance: what two that are equal may differ by once they are computed."""

_NAMES = {"l1": "manhattan", "cityblock": "manhattan", "l2": "euclidean"}


def _distances(graph: Operators) -> str:
    """Add those to each row seen, of shape (n_rows, n_seen), as scikit-learn comes by them.

    A search in a tree, and one for any other metric, sums the features up one by one: so it knows
    a row again, at a distance of exactly 0. Euclid's in a search of all rows is off by as much as
    its matrix product is, which no other product tells: weights by it have no graph.
    """
    estimator = graph.estimator
    if estimator.weights not in {"uniform", "distance"}:
        raise NotImplementedError("weights of one's own")
    name = _NAMES.get(estimator.effective_metric_, estimator.effective_metric_)
    is_product = name == "cosine" or (name == "euclidean" and estimator._fit_method == "brute")
    if is_product and estimator.weights != "uniform":
        raise NotImplementedError(f"weights by the distance {name} in a search of all rows")
    seen = np.asarray(estimator._fit_X, np.float64)
    if name == "cosine":
        return _cosines(graph, seen)
    if is_product:
        products = graph.add("MatMul", graph.doubles(), -2.0 * seen.T)
        return graph.add("Add", products, (seen**2).sum(axis=1))
    power = {"manhattan": 1.0, "euclidean": 2.0, "chebyshev": np.inf}.get(str(name))
    given = estimator.effective_metric_params_
    if name == "minkowski" and given.get("w") is None:
        power = float(given["p"])
    if power is None:
        raise NotImplementedError(f"the distance {name}")
    return _by_feature(graph, seen, power)


def _by_feature(graph: Operators, seen: Floats, power: float) -> str:
    X = graph.doubles()
    parts = []
    for at, values in enumerate(seen.T):
        apart = graph.add("Abs", graph.add("Sub", graph.add("Gather", X, [at], axis=1), values))
        if power == 2:
            apart = graph.add("Mul", apart, apart)
        elif 1 < power < np.inf:
            apart = graph.add("Pow", apart, power)
        parts.append(apart)
    if power == np.inf:
        return functools.reduce(functools.partial(graph.add, "Max"), parts)
    total = graph.total(parts)
    if power == 1:
        return total
    return graph.add("Sqrt", total) if power == 2 else graph.add("Pow", total, 1 / power)


def _cosines(graph: Operators, seen: Floats) -> str:
    X = graph.doubles()
    length = graph.add("ReduceL2", X, [1], keepdims=1)
    length = graph.add("Where", graph.add("Equal", length, 0.0), 1.0, length)
    lengths = np.linalg.norm(seen, axis=1, keepdims=True)
    directions = seen / np.where(lengths == 0, 1, lengths)
    return graph.add("Neg", graph.add("MatMul", graph.add("Div", X, length), directions.T))


def _weighed(graph: Operators, values: Floats) -> tuple[str, Any]:
    """Add the sum of what is known of the nearest rows, each by its weight.

    Parameters
    ----------
    graph : Operators
    values : ndarray of shape (n_seen, n_values)

    Returns
    -------
    total : str
        Of shape (n_rows, n_values).
    whole : str or float
        The sum of the weights, of shape (n_rows, 1), or that of every row.
    """
    estimator = graph.estimator
    if _has_ties(estimator):
        raise NotImplementedError("rows as far off as others, which the search puts in some order")
    near, places = graph.smallest(_distances(graph), estimator.n_neighbors)
    given = graph.add("Gather", values, places, axis=0)
    if estimator.weights == "uniform":
        return graph.add("ReduceSum", given, [1], keepdims=0), float(estimator.n_neighbors)
    near = graph.add("Unsqueeze", near, [2])
    same = graph.cast(graph.add("Equal", near, 0.0), TensorProto.DOUBLE)
    any_same = graph.add("Greater", graph.add("ReduceMax", same, [1], keepdims=1), 0.0)
    weights = graph.add("Where", any_same, same, graph.add("Div", 1.0, near))
    total = graph.add("ReduceSum", graph.add("Mul", given, weights), [1], keepdims=0)
    return total, graph.add("ReduceSum", weights, [1], keepdims=0)


def _has_ties(estimator: Any) -> bool:
    """Tell whether rows seen have neighbours of which the last is as far off as the next.

    So it is where values are rounded, and any row may hit such a tie.
    """
    k, rows = estimator.n_neighbors, estimator._fit_X[:_TRIED_ROWS]
    count = min(k + 2, len(estimator._fit_X))
    distances, _ = estimator.kneighbors(rows, count)
    gaps = np.diff(distances, axis=1)[:, k - 1 :]
    return bool((gaps <= _AS_FAR * distances[:, -1:]).any())


def _regression(graph: Operators) -> None:
    """Convert the mean of the nearest rows' targets."""
    y = np.asarray(graph.estimator._y, np.float64).reshape(len(graph.estimator._fit_X), -1)
    total, whole = _weighed(graph, y)
    graph.add("Div", total, whole, out=graph.outputs[0])


def _within(graph: Operators) -> None:
    """Convert the mean of the targets within a radius: NaN where there are none."""
    estimator = graph.estimator
    if estimator.weights != "uniform" or estimator._fit_method == "brute":
        raise NotImplementedError("a radius in a search of all rows, or with weights")
    y = np.asarray(estimator._y, np.float64).reshape(len(estimator._fit_X), -1)
    inside = graph.add("LessOrEqual", _distances(graph), float(estimator.radius))
    inside = graph.cast(inside, TensorProto.DOUBLE)
    count = graph.add("ReduceSum", inside, [1], keepdims=1)
    graph.add("Div", graph.add("MatMul", inside, y), count, out=graph.outputs[0])


def _classification(graph: Operators) -> None:
    """Convert the votes of the nearest rows."""
    if graph.estimator.outputs_2d_:
        raise NotImplementedError("several targets of classes")
    classes = np.eye(len(graph.estimator.classes_))[graph.estimator._y]
    votes, whole = _weighed(graph, classes)
    graph.label(graph.first_largest(votes))
    graph.add("Div", votes, whole, out=graph.outputs[1])


def _centroids(graph: Operators) -> None:
    """Convert the nearest of the classes' centres."""
    estimator = graph.estimator
    if estimator.metric not in {"euclidean", "manhattan"}:
        raise NotImplementedError(f"the distance {estimator.metric}")
    X, centres = graph.doubles(), estimator.centroids_
    spread = np.where(estimator.within_class_std_dev_ == 0, 1, estimator.within_class_std_dev_)
    apart = _to_centres(graph, graph.add("Div", X, spread), centres / spread)
    if estimator.metric == "manhattan":
        apart = graph.add("Mul", apart, apart)
    scores = graph.add("Sub", 2 * np.log(estimator.class_prior_), apart)
    if np.isclose(estimator.class_prior_, 1 / len(centres)).all():
        graph.label(graph.first_largest(graph.add("Neg", _to_centres(graph, X, centres))))
    else:
        graph.label(graph.first_largest(scores))
    if estimator.metric == "euclidean":
        scores = graph.add("Softmax", scores, axis=1)
    graph.add("Identity", scores, out=graph.outputs[1])


def _to_centres(graph: Operators, X: str, centres: Floats) -> str:
    """Add the sums of what parts rows from centres, squared or not: (n_rows, n_classes)."""
    apart = graph.add("Sub", graph.add("Unsqueeze", X, [1]), centres)
    kind = "ReduceL1" if graph.estimator.metric == "manhattan" else "ReduceSumSquare"
    return graph.add(kind, apart, [2], keepdims=0)


BY_TYPE: dict[type, Conversion] = {
    KNeighborsClassifier: _classification,
    KNeighborsRegressor: _regression,
    NearestCentroid: _centroids,
    RadiusNeighborsRegressor: _within,
}
"""What adds an estimator's operators, by its type."""
