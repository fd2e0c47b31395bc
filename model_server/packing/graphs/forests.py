"""scikit-learn's trees as graphs that give its own numbers.

What is copied from scikit-learn is where it rounds: the trees of ``sklearn.tree`` compare float32
inputs with float64 thresholds, those of histogram boosting float64 inputs; sums are taken tree by
tree in float64, from the value that they begin with; and a class is chosen from the sums
themselves.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import TensorProto
from sklearn import ensemble, tree
from sklearn.ensemble._iforest import _average_path_length

from model_server.packing.graphs import tree_ensemble
from model_server.packing.graphs.operators import Conversion, Operators
from model_server.packing.graphs.tree_ensemble import Floats, Tree


def _read(fitted: Any) -> Tree:
    """Read a ``sklearn.tree._tree.Tree``."""
    leaf = fitted.children_left < 0
    missing = np.asarray(fitted.missing_go_to_left, bool)
    return Tree(
        feature=fitted.feature,
        threshold=fitted.threshold,
        yes=fitted.children_left,
        no=fitted.children_right,
        missing_yes=missing & ~leaf,
        members={},
    )


def _members(estimator: Any) -> list[Any]:
    """Return the trees of a forest, or the one of a tree."""
    members = getattr(estimator, "estimators_", [estimator])
    return [member.tree_ for member in members]


def _mean(graph: Operators) -> None:
    """Convert a tree or a forest that predicts numbers."""
    fitted = _members(graph.estimator)
    trees, X = [_read(each) for each in fitted], graph.rounded()
    if fitted[0].n_outputs == 1:
        values = [each.value[:, 0, 0] for each in fitted]
        total = graph.trees(X, trees, values, [0] * len(trees), 1)
    else:
        total = _total(graph, X, trees, [each.value[:, :, 0] for each in fitted])
    graph.add("Div", total, graph.constant(np.array(float(len(trees)))), out=graph.outputs[0])


def _vote(graph: Operators) -> None:
    """Convert a tree or a forest that tells classes apart."""
    fitted = _members(graph.estimator)
    if fitted[0].n_outputs > 1:
        raise NotImplementedError("several targets of classes")
    values = [each.value[:, 0, :] for each in fitted]
    total = _total(graph, graph.rounded(), [_read(each) for each in fitted], values)
    count = graph.constant(np.array(float(len(fitted))))
    graph.label(graph.first_largest(graph.add("Div", total, count, out=graph.outputs[1])))


def _total(graph: Operators, X: str, trees: list[Tree], values: list[Floats]) -> str:
    """Add the sums of trees with several values a leaf, of shape (n_rows, n_values).

    The operator has one value a leaf: here it is the leaf's place in a table of all of them.
    ``CumSum`` adds in the trees' order, where ``ReduceSum`` would not, and classes that are even
    would come out otherwise.
    """
    first = np.cumsum([0, *(len(value) for value in values)])
    places = [np.arange(len(value)) + first[at] * 1.0 for at, value in enumerate(values)]
    found = graph.trees(X, trees, places, range(len(trees)), len(trees))
    table = graph.constant(np.concatenate(values))
    given = graph.add("Gather", table, graph.cast(found, TensorProto.INT64), axis=0)
    sums = graph.add("CumSum", given, graph.constant(np.array(1)))
    return graph.add("Gather", sums, graph.constant(np.array(len(trees) - 1)), axis=1)


def _gradient_boosting(graph: Operators) -> str:
    """Add the raw predictions, of shape (n_rows, n_trees_per_iteration)."""
    estimator = graph.estimator
    if not isinstance(estimator.init_, str) and estimator.init is not None:
        raise NotImplementedError("boosting that begins with another estimator")
    [begin] = estimator._raw_predict_init(np.zeros((1, estimator.n_features_in_), np.float32))
    fitted = [each.tree_ for each in estimator.estimators_.ravel()]
    values = [estimator.learning_rate * each.value[:, 0, 0] for each in fitted]
    return _boosted(graph, graph.rounded(), begin, [_read(each) for each in fitted], values)


def _histogram_boosting(graph: Operators) -> str:
    """Add the raw predictions, of shape (n_rows, n_trees_per_iteration)."""
    estimator = graph.estimator
    columns, categories = _encoded(estimator)
    X = graph.coded(
        {int(place): told for place, told in zip(columns, categories, strict=False) if _texts(told)}
    )
    known: list[Any] = [np.arange(len(told)) * 1.0 if _texts(told) else told for told in categories]
    predictors = [each for step in estimator._predictors for each in step]
    trees = [_read_histogram(each, columns, known) for each in predictors]
    values = [each.nodes["value"] for each in predictors]
    begin = np.ravel(estimator._baseline_prediction)
    return _boosted(graph, X, begin, trees, values)


def _boosted(
    graph: Operators, X: str, begin: Floats, trees: list[Tree], values: list[Floats]
) -> str:
    """Add sums that begin with some value, to which the trees belong in turn."""
    n_targets = len(begin)
    first, first_values = zip(*map(tree_ensemble.constant, begin), strict=True)
    targets = [*range(n_targets), *(at % n_targets for at in range(len(trees)))]
    return graph.trees(X, [*first, *trees], [*first_values, *values], targets, n_targets)


def _encoded(estimator: Any) -> tuple[npt.NDArray[np.int64], list[Any]]:
    """Return which input each column of the binned data is, and the categories of those encoded.

    Those are numbers, NaN among them, or texts in the order of their codes.
    """
    flags = estimator.is_categorical_
    if flags is None:
        return np.arange(estimator.n_features_in_), []
    encoder = estimator._preprocessor.named_transformers_["encoder"]
    columns = np.concatenate([np.flatnonzero(flags), np.flatnonzero(~flags)])
    return columns, [_known(np.asarray(each)) for each in encoder.categories_]


def _known(categories: npt.NDArray[Any]) -> Any:
    if categories.dtype.kind in "biuf":
        return categories.astype(np.float64)
    return [
        each for each in categories.tolist() if isinstance(each, str)
    ]  # what is missing is last


def _texts(categories: Any) -> bool:
    return isinstance(categories, list)


def _read_histogram(
    predictor: Any, columns: npt.NDArray[np.int64], categories: list[Floats]
) -> Tree:
    """Read a tree of histogram boosting; categories that are not known go on as NaN does."""
    nodes = predictor.nodes
    leaf, by_category = nodes["is_leaf"] > 0, nodes["is_categorical"] > 0
    yes = np.where(leaf, -1, nodes["left"].astype(np.int64))
    no = np.where(leaf, -1, nodes["right"].astype(np.int64))
    missing = (nodes["missing_go_to_left"] > 0) & ~leaf
    members = {}
    for node in np.flatnonzero(by_category & ~leaf):
        known = categories[nodes["feature_idx"][node]]
        codes = np.arange(len(known), dtype=np.uint32)
        words = predictor.raw_left_cat_bitsets[nodes["bitset_idx"][node]]
        left = (words[codes // 32] >> (codes % 32)) & 1 > 0
        if missing[node]:  # so that what is no member is either right or unknown
            yes[node], no[node] = no[node], yes[node]
            left = ~left
            missing[node] = False
        members[int(node)] = known[left & ~np.isnan(known)]
    return Tree(
        feature=columns[nodes["feature_idx"]] * ~leaf,
        threshold=nodes["num_threshold"],
        yes=yes,
        no=no,
        missing_yes=missing,
        members=members,
    )


def _regression(graph: Operators) -> None:
    """Convert gradient boosting of numbers."""
    graph.add("Identity", _gradient_boosting(graph), out=graph.outputs[0])


def _histogram_regression(graph: Operators) -> None:
    """Convert histogram boosting of numbers, which are the inverse of the loss's link."""
    raw = _histogram_boosting(graph)
    link = type(graph.estimator._loss.link).__name__
    if link not in _INVERSE:
        raise NotImplementedError(f"a loss with {link}")
    graph.add(_INVERSE[link], raw, out=graph.outputs[0])


_INVERSE = {"IdentityLink": "Identity", "LogLink": "Exp"}


def _classification(graph: Operators) -> None:
    """Convert gradient boosting of classes, where the second of two has what is even."""
    _classify(graph, _gradient_boosting(graph), "GreaterOrEqual")


def _histogram_classification(graph: Operators) -> None:
    """Convert histogram boosting of classes, where the first of two has what is even."""
    _classify(graph, _histogram_boosting(graph), "Greater")


def _classify(graph: Operators, raw: str, second: str) -> None:
    """Answer with classes and their probabilities."""
    if len(graph.estimator.classes_) > 2:
        graph.label(graph.first_largest(raw))
        scores = raw if graph.wants("raw_scores") else graph.add("Softmax", raw, axis=1)
        graph.add("Identity", scores, out=graph.outputs[1])
        return
    flat = graph.add("Reshape", raw, graph.constant(np.array([-1])))
    is_second = graph.add(second, flat, graph.constant(np.array(0.0)))
    graph.label(graph.cast(is_second, TensorProto.INT64))
    if graph.wants("raw_scores"):
        graph.add("Concat", graph.add("Neg", raw), raw, out=graph.outputs[1], axis=1)
        return
    if type(graph.estimator._loss).__name__ == "ExponentialLoss":
        raw = graph.add("Mul", raw, graph.constant(np.array(2.0)))
    graph.both(graph.add("Sigmoid", raw), graph.outputs[1])


def _isolation(graph: Operators) -> None:
    """Convert an isolation forest: labels from the depths, as their score is rounded by a power."""
    estimator = graph.estimator
    trees, values = [], []
    for at, (member, columns) in enumerate(
        zip(estimator.estimators_, estimator.estimators_features_, strict=True)
    ):
        read = _read(member.tree_)
        trees.append(dataclasses.replace(read, feature=np.asarray(columns)[read.feature]))
        values.append(
            estimator._decision_path_lengths[at] + estimator._average_path_length_per_tree[at] - 1.0
        )
    depth = graph.trees(graph.rounded(), trees, values, [0] * len(trees), 1)
    whole = len(trees) * _average_path_length([estimator._max_samples])[0]

    def decide(depth: float) -> float:
        return float(-(2.0 ** -np.float64(depth / whole)) - estimator.offset_)

    least = _least(decide, whole * 1100)
    inside = graph.add("GreaterOrEqual", depth, graph.constant(np.array(least)))
    signs = graph.constant(np.array([-1, 1]))
    place = graph.cast(inside, TensorProto.INT64)
    graph.add("Gather", signs, place, out=graph.outputs[0], axis=0)
    power = graph.add("Div", depth, graph.constant(np.array(-whole)))
    score = graph.add("Pow", graph.constant(np.array(2.0)), power)
    moved = graph.add("Add", score, graph.constant(np.array(estimator.offset_)))
    graph.add("Neg", moved, out=graph.outputs[1])


def _least(function: Callable[[float], float], highest: float) -> float:
    """Return the least number between 0 and another at which a growing function is not negative."""
    low, high = -1.0, highest
    while (middle := (low + high) / 2) not in (low, high):
        low, high = (low, middle) if function(middle) >= 0 else (middle, high)
    return high


BY_TYPE: dict[type, Conversion] = {
    tree.DecisionTreeRegressor: _mean,
    tree.ExtraTreeRegressor: _mean,
    ensemble.RandomForestRegressor: _mean,
    ensemble.ExtraTreesRegressor: _mean,
    tree.DecisionTreeClassifier: _vote,
    tree.ExtraTreeClassifier: _vote,
    ensemble.RandomForestClassifier: _vote,
    ensemble.ExtraTreesClassifier: _vote,
    ensemble.GradientBoostingRegressor: _regression,
    ensemble.GradientBoostingClassifier: _classification,
    ensemble.HistGradientBoostingRegressor: _histogram_regression,
    ensemble.HistGradientBoostingClassifier: _histogram_classification,
    ensemble.IsolationForest: _isolation,
}


_COMPARES_DOUBLES = (
    ensemble.HistGradientBoostingRegressor,
    ensemble.HistGradientBoostingClassifier,
)


def rounds_inputs(estimator: Any) -> bool:
    """Tell whether an estimator is trees that read float32 and nothing before them."""
    return type(estimator) in BY_TYPE and not isinstance(estimator, _COMPARES_DOUBLES)
