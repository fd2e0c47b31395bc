"""LightGBM's trees as graphs that give its own numbers.

It compares doubles, and adds leaves up in doubles, tree by tree.

Source: its text model format, as ``src/io/tree.cpp`` reads it, and ``include/LightGBM/tree.h``.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from model_server.packing.graphs.operators import Conversion, Operators
from model_server.packing.graphs.tree_ensemble import Floats, Tree, constant

LIBRARY = "lightgbm"

_BY_CATEGORY, _DEFAULT_LEFT = 1, 2
_MISSING_NONE, _MISSING_ZERO = 0, 1

_ZERO = float(np.float32(1e-35))
"""What is no further from 0 than this, is 0."""

_Told = dict[str, str]


def _model(estimator: Any) -> tuple[_Told, list[_Told]]:
    """Return what the booster tells of itself, and of each tree up to the best round."""
    booster = estimator.booster_
    text = booster.model_to_string(num_iteration=booster.best_iteration)
    head, *parts = text.partition("\nend of trees")[0].split("\nTree=")
    return _told(head), [_told(part) for part in parts]


def _told(part: str) -> _Told:
    pairs = (line.partition("=") for line in part.splitlines())
    return {key: value for key, _, value in pairs}


def _array(told: _Told, key: str, dtype: Any = np.int64) -> npt.NDArray[Any]:
    return np.array(told.get(key, "").split(), dtype)


def trees(estimator: Any) -> list[Tree]:
    """Return the trees of an estimator.

    Raises
    ------
    NotImplementedError
    """
    return [_read(told)[0] for told in _model(estimator)[1]]


def _read(told: _Told) -> tuple[Tree, Floats]:
    """Return a tree, its splits first, and its nodes' values.

    Raises
    ------
    NotImplementedError
    """
    leaves = _array(told, "leaf_value", np.float64)
    if told.get("is_linear", "0") != "0":
        raise NotImplementedError("trees with linear leaves")
    if len(leaves) == 1:
        return constant(leaves[0])
    kinds, limits = _array(told, "decision_type"), _array(told, "threshold", np.float64)
    missing, by_category = kinds >> 2, kinds & _BY_CATEGORY > 0
    if (missing == _MISSING_ZERO).any():
        raise NotImplementedError("zeros as missing values")
    n_splits, none = len(kinds), np.full(len(leaves), -1)
    yes, no = _array(told, "left_child"), _array(told, "right_child")
    goes_left = np.where(missing == _MISSING_NONE, limits >= 0, kinds & _DEFAULT_LEFT > 0)
    tree = Tree(
        feature=np.append(_array(told, "split_feature"), none * 0),
        threshold=np.append(_past_zeros(limits), none * 0.0),
        yes=np.append(np.where(yes < 0, n_splits + ~yes, yes), none),
        no=np.append(np.where(no < 0, n_splits + ~no, no), none),
        missing_yes=np.append(goes_left & ~by_category, none > 0),
        members={
            int(node): _members(told, int(limits[node])) for node in np.flatnonzero(by_category)
        },
    )
    return tree, np.append(np.zeros(n_splits), leaves)


def _past_zeros(limits: Floats) -> Floats:
    """Return limits beyond the numbers that are read as 0."""
    limits = np.where((limits >= 0) & (limits < _ZERO), _ZERO, limits)
    return np.where((limits < 0) & (limits >= -_ZERO), np.nextafter(-_ZERO, -np.inf), limits)


def _members(told: _Told, place: int) -> Floats:
    """Return the categories of a split, which are the bits of some words."""
    begin, end = _array(told, "cat_boundaries")[place : place + 2]
    words = _array(told, "cat_threshold", np.uint32)[begin:end]
    bits = np.unpackbits(words.astype("<u4").view(np.uint8), bitorder="little")
    return np.flatnonzero(bits).astype(np.float64)


def _categories(graph: Operators, fitted: Sequence[Tree]) -> dict[int, list[str]]:
    """Return the categories of each input that has texts, in the order of their numbers.

    Raises
    ------
    NotImplementedError
        If there are others: what is no whole number would be cut to one.
    """
    known = graph.estimator.booster_.pandas_categorical or []
    asked = {int(tree.feature[node]) for tree in fitted for node in tree.members}
    if len(known) != len(graph.text_places) or not asked <= set(graph.text_places):
        raise NotImplementedError("categories that are no texts")
    return dict(zip(graph.text_places, known, strict=True))


def _sums(graph: Operators, head: _Told, told: list[_Told]) -> str:
    """Add the sums, of shape (n_rows, n_targets)."""
    fitted, values = zip(*map(_read, told), strict=True)
    n_targets = int(head["num_tree_per_iteration"])
    targets = [place % n_targets for place in range(len(fitted))]
    X = graph.coded(_categories(graph, fitted))
    sums = graph.trees(X, fitted, values, targets, n_targets)
    if "average_output" in head:  # a random forest
        return graph.add("Div", sums, np.array(len(fitted) // n_targets * 1.0))
    return sums


def _sigmoid(graph: Operators, sums: str, slope: str = "1") -> str:
    return graph.add("Sigmoid", graph.add("Mul", sums, np.array(float(slope))))


def _exponential(graph: Operators, sums: str) -> str:
    return graph.add("Exp", sums)


def _plain(_: Operators, sums: str) -> str:
    return sums


_INVERSES: dict[str, Callable[[Operators, str], str]] = {
    **dict.fromkeys(("regression", "regression_l1", "huber", "fair", "quantile"), _plain),
    **dict.fromkeys(("mape", "lambdarank", "rank_xendcg"), _plain),
    **dict.fromkeys(("poisson", "gamma", "tweedie"), _exponential),
    "cross_entropy": _sigmoid,
}


def _objective(head: _Told) -> tuple[str, dict[str, str]]:
    """Return an objective's name, and what it was told."""
    name, *told = head.get("objective", "none").split()
    return name, dict(each.partition(":")[::2] for each in told)


def _regression(graph: Operators) -> None:
    head, told = _model(graph.estimator)
    name, given = _objective(head)
    if name not in _INVERSES or "sqrt" in given:
        raise NotImplementedError(f"the objective {head.get('objective', 'of its own')}")
    graph.add("Identity", _INVERSES[name](graph, _sums(graph, head, told)), out=graph.outputs[0])


def _classification(graph: Operators) -> None:
    head, told = _model(graph.estimator)
    (name, given), sums = _objective(head), _sums(graph, head, told)
    if name == "multiclass":
        probabilities = graph.add("Softmax", sums, axis=1)
    elif name in ("multiclassova", "binary"):
        probabilities = _sigmoid(graph, sums, given["sigmoid"])
    else:
        raise NotImplementedError(f"classes by {head.get('objective', 'an objective of its own')}")
    if name == "binary":
        probabilities = graph.both(probabilities)
    graph.label(graph.first_largest(probabilities))
    graph.add("Identity", probabilities, out=graph.outputs[1])


BY_NAME: dict[str, Conversion] = {
    "LGBMRegressor": _regression,
    "LGBMRanker": _regression,
    "LGBMClassifier": _classification,
}
