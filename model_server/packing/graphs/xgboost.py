"""XGBoost's trees as graphs that give its own numbers.

What is copied from XGBoost is where it rounds: inputs, thresholds, leaves and all that is made of
them are float32; sums begin with the score that the booster begins with, and go tree by tree. Only
exponentials are taken in doubles, and rounded, as those of the C library nearly always are.

Source: its JSON model format, "Introduction to Model IO", and ``src/common/math.h``.
"""

import itertools
import json
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import TensorProto

from model_server.packing.graphs import tree_ensemble
from model_server.packing.graphs.operators import Conversion, Operators
from model_server.packing.graphs.tree_ensemble import Floats, Tree

LIBRARY = "xgboost"

_Singles = npt.NDArray[np.float32]


def _learner(estimator: Any) -> dict[str, Any]:
    """Return what the booster has learned, up to the best round where it was stopped early."""
    booster = estimator.get_booster()
    if (best := getattr(booster, "best_iteration", None)) is not None:
        booster = booster[: best + 1]
    learner: dict[str, Any] = json.loads(booster.save_raw("json"))["learner"]
    return learner


def trees(estimator: Any) -> list[Tree]:
    """Return the trees of an estimator; a number that is smaller than a threshold goes on at "yes".

    Raises
    ------
    NotImplementedError
    """
    return [_read(each) for each in _booster(_learner(estimator))["trees"]]


def _booster(learner: dict[str, Any]) -> dict[str, Any]:
    booster: dict[str, Any] = learner["gradient_booster"]
    if booster["name"] not in ("gbtree", "dart"):
        raise NotImplementedError(f"a booster of the kind {booster['name']}")
    model: dict[str, Any] = booster.get("gbtree", booster)["model"]
    return model


def _read(told: dict[str, Any]) -> Tree:
    if told["tree_param"]["size_leaf_vector"] not in ("0", "1"):
        raise NotImplementedError("trees with several values a leaf")
    left, right = np.array(told["left_children"]), np.array(told["right_children"])
    limits = np.array(told["split_conditions"], np.float32)
    by_category = np.array(told["split_type"]) > 0  # what is a member goes on at the right
    missing_left = np.array(told["default_left"]) > 0
    return Tree(
        feature=np.array(told["split_indices"]),
        threshold=np.nextafter(limits, np.float32(-np.inf)),
        yes=np.where(by_category, right, left),
        no=np.where(by_category, left, right),
        missing_yes=(missing_left ^ by_category) & (left >= 0),
        members=dict(_members(told)),
    )


def _members(told: dict[str, Any]) -> Iterator[tuple[int, Floats]]:
    """Yield the nodes that split by category, and the categories that they ask for."""
    sizes, begins = told["categories_sizes"], told["categories_segments"]
    for node, begin, size in zip(told["categories_nodes"], begins, sizes, strict=True):
        yield node, np.array(told["categories"][begin : begin + size], np.float64)


def _categories(booster: dict[str, Any]) -> dict[int, list[str]]:
    """Return the categories of each input that has texts, in the order of their numbers.

    Raises
    ------
    NotImplementedError
        If they are no texts.
    """
    categories = {}
    for place, encoded in enumerate(booster["cats"]["enc"]):
        if encoded["offsets"]:
            values = np.array(encoded["values"], np.int8).tobytes()
            ends = encoded["offsets"]
            categories[place] = [
                values[begin:end].decode() for begin, end in itertools.pairwise(ends)
            ]
        elif encoded["values"]:
            raise NotImplementedError("categories that are no texts")
    return categories


def _begin(learner: dict[str, Any], n_targets: int) -> _Singles:
    """Return what sums begin with, of shape (n_targets,): the inverse of the objective."""
    told = learner["learner_model_param"]["base_score"].strip("[]").split(",")
    score = np.array(told, np.float32)
    if (objective := learner["objective"]["name"]) in _SIGMOID:
        score = -_logarithm(np.float32(1) / score - np.float32(1))
    elif objective in _EXPONENTIAL:
        score = _logarithm(score)
    return np.broadcast_to(score, n_targets)


def _logarithm(values: _Singles) -> _Singles:
    """Return logarithms that are rounded as the C library's are; NumPy's own may be off by more."""
    return np.log(values.astype(np.float64)).astype(np.float32)


_SIGMOID = ("binary:logistic", "reg:logistic")
_EXPONENTIAL = ("count:poisson", "reg:gamma", "reg:tweedie")
_PLAIN = (
    *("reg:squarederror", "reg:squaredlogerror", "reg:absoluteerror", "reg:pseudohubererror"),
    *("reg:quantileerror", "rank:ndcg", "rank:map", "rank:pairwise"),
)
_QUANTILES = "reg:quantileerror"
_SORTS_QUANTILES = (3, 4)
"""From this version on none of them crosses another."""


def _margins(graph: Operators, learner: dict[str, Any]) -> str:
    """Add the sums, float32 of shape (n_rows, n_targets)."""
    if not np.isnan(graph.estimator.missing):
        raise NotImplementedError(f"{graph.estimator.missing} as a missing value")
    booster = _booster(learner)
    weights = learner["gradient_booster"].get("weight_drop") or booster.get("weight_drop")
    weights = weights or np.ones(len(booster["trees"]))
    values = [
        np.array(tree["split_conditions"], np.float32) * np.float32(weight)
        for tree, weight in zip(booster["trees"], weights, strict=True)
    ]
    param = learner["learner_model_param"]
    n_targets = max(int(param["num_class"]), int(param["num_target"]))
    begin = _begin(learner, n_targets)
    first, first_values = zip(*map(tree_ensemble.constant, begin), strict=True)
    return graph.trees(
        graph.cast(graph.coded(_categories(booster)), TensorProto.FLOAT),
        [*first, *map(_read, booster["trees"])],
        [*first_values, *values],
        [*range(n_targets), *booster["tree_info"]],
        n_targets,
    )


def _exponential(graph: Operators, values: str) -> str:
    """Add exponentials as float32."""
    exact = graph.add("Exp", graph.cast(values, TensorProto.DOUBLE))
    return graph.cast(exact, TensorProto.FLOAT)


def _sigmoid(graph: Operators, margins: str) -> str:
    one = np.array(1, np.float32)
    power = _exponential(graph, graph.add("Neg", margins))
    return graph.add("Div", one, graph.add("Add", power, one))


def _softmax(graph: Operators, margins: str) -> str:
    largest = graph.add("ReduceMax", margins, [1], keepdims=1)
    powers = _exponential(graph, graph.add("Sub", margins, largest))
    total = graph.add("ReduceSum", graph.cast(powers, TensorProto.DOUBLE), [1], keepdims=1)
    return graph.add("Div", powers, graph.cast(total, TensorProto.FLOAT))


def _version() -> tuple[int, ...]:
    return tuple(map(int, sys.modules[LIBRARY].__version__.split(".")[:2]))


def _regression(graph: Operators) -> None:
    learner = _learner(graph.estimator)
    values = _margins(graph, learner)
    objective = learner["objective"]["name"]
    if objective in _SIGMOID:
        values = _sigmoid(graph, values)
    elif objective in _EXPONENTIAL:
        values = _exponential(graph, values)
    elif objective == _QUANTILES and _version() >= _SORTS_QUANTILES:
        values, _ = graph.smallest(
            values, len(np.atleast_1d(graph.estimator.get_xgb_params()["quantile_alpha"]))
        )
    elif objective not in _PLAIN:
        raise NotImplementedError(f"the objective {objective}")
    graph.add("Cast", values, to=TensorProto.DOUBLE, out=graph.outputs[0])


def _classification(graph: Operators) -> None:
    learner = _learner(graph.estimator)
    objective, margins = learner["objective"]["name"], _margins(graph, learner)
    if objective == "multi:softprob":
        probabilities = _softmax(graph, margins)
        graph.label(graph.first_largest(probabilities))
    elif objective == "binary:logistic" and learner["learner_model_param"]["num_target"] == "1":
        second = _sigmoid(graph, margins)
        half = np.array(0.5, np.float32)
        graph.label(graph.whole(graph.add("Greater", graph.add("Squeeze", second, [1]), half)))
        first = graph.add("Sub", np.array(1, np.float32), second)
        probabilities = graph.add("Concat", first, second, axis=1)
    else:
        raise NotImplementedError(f"classes by {objective}")
    graph.add("Cast", probabilities, to=TensorProto.DOUBLE, out=graph.outputs[1])


BY_NAME: dict[str, Conversion] = {
    "XGBRegressor": _regression,
    "XGBRFRegressor": _regression,
    "XGBRanker": _regression,
    "XGBClassifier": _classification,
    "XGBRFClassifier": _classification,
}
