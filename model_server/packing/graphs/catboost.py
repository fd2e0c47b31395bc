"""CatBoost's trees as graphs that give its own numbers.

Inputs and borders are float32, leaves doubles; what is greater than a border goes on at the right.

Source: its JSON model format, "Model export", and ``catboost/libs/model``.
"""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from model_server.packing.graphs.operators import Conversion, Operators
from model_server.packing.graphs.tree_ensemble import Floats, Integers, Tree

LIBRARY = "catboost"

_BY_NUMBER = "FloatFeature"

_Told = dict[str, Any]
_Asked = tuple[int, np.float32, bool]
"""Which input a split asks, what it is greater than, and whether NaN is."""


def _model(estimator: Any) -> _Told:
    if estimator.get_cat_feature_indices() or estimator.get_text_feature_indices():
        raise NotImplementedError("categories or texts, which are hashed")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.json"
        estimator.save_model(str(path), format="json")
        model: _Told = json.loads(path.read_bytes())
    return model


def trees(estimator: Any) -> list[Tree]:
    """Return the trees of an estimator.

    Raises
    ------
    NotImplementedError
    """
    return [tree for tree, _ in _trees(_model(estimator))]


def _trees(model: _Told) -> list[tuple[Tree, Floats]]:
    """Return the trees, and their nodes' values of shape (n_nodes, n_targets)."""
    features = {each["feature_index"]: each for each in model["features_info"]["float_features"]}
    if "oblivious_trees" in model:
        return [_read_heap(each, features) for each in model["oblivious_trees"]]
    return [_read_nested(each, features) for each in model["trees"]]


def _read_heap(told: _Told, features: dict[int, _Told]) -> tuple[Tree, Floats]:
    """Read a tree that asks the same at each depth, the highest bit of a leaf's number first."""
    asked = [_asked(split, features) for split in reversed(told["splits"])]
    n_leaves = 2 ** len(asked)
    leaves = np.reshape(told["leaf_values"], (n_leaves, -1))
    node = np.arange(n_leaves - 1)
    levels = [split for level, split in enumerate(asked) for _ in range(2**level)]
    values = [np.zeros(leaves.shape[1])] * (n_leaves - 1)
    return _tree([*levels, *[None] * n_leaves], 2 * node + 1, [*values, *leaves])


def _read_nested(told: _Told, features: dict[int, _Told]) -> tuple[Tree, Floats]:
    """Read a tree of which each split has two of its own, one depth after the other."""
    nodes, asked, lesser = [told], [], []
    for node in nodes:  # which grows
        if "split" in node:
            lesser.append(len(nodes))
            nodes += [node["left"], node["right"]]
        asked.append(_asked(node["split"], features) if "split" in node else None)
    n_targets = max(np.size(node.get("value", 0)) for node in nodes)
    values = [np.broadcast_to(node.get("value", 0.0), n_targets) for node in nodes]
    return _tree(asked, np.array(lesser, np.int64), values)


def _tree(
    asked: list[_Asked | None], lesser: Integers, values: Sequence[Any]
) -> tuple[Tree, Floats]:
    """Return a tree of nodes that ask something or are leaves.

    Parameters
    ----------
    asked : list of _Asked or None
    lesser : ndarray of int
        Where each that asks goes on with what is not greater; with what is, at the next.
    values : sequence of array-like of shape (n_targets,)
    """
    inner = np.array([split is not None for split in asked])
    feature, border, greater = zip(*(split or (0, 0.0, True) for split in asked), strict=True)
    yes = np.full(len(asked), -1)
    yes[inner] = lesser
    tree = Tree(
        feature=np.array(feature),
        threshold=np.array(border),
        yes=yes,
        no=np.where(inner, yes + 1, -1),
        missing_yes=~np.array(greater),
        members={},
    )
    return tree, np.array(values, np.float64)


def _asked(split: _Told, features: dict[int, _Told]) -> _Asked:
    if split["split_type"] != _BY_NUMBER:
        raise NotImplementedError(f"splits by {split['split_type']}")
    feature = features[split["float_feature_index"]]
    greater = feature["nan_value_treatment"] == "AsTrue"
    return feature["flat_feature_index"], np.float32(split["border"]), greater


def _sums(graph: Operators, model: _Told) -> str:
    """Add the scaled sums, of shape (n_rows, n_targets)."""
    fitted, values = zip(*_trees(model), strict=True)
    scale, begin = model["scale_and_bias"]
    n_targets = len(begin)
    repeated = [tree for tree in fitted for _ in range(n_targets)]
    columns = [column for value in values for column in value.T]
    targets = [*range(n_targets)] * len(fitted)
    sums = graph.trees(graph.rounded(), repeated, columns, targets, n_targets)
    scaled = graph.add("Mul", sums, np.array(float(scale)))
    return graph.add("Add", scaled, np.array(begin, np.float64))


_PLAIN = (
    "RMSE",
    "MAE",
    "Quantile",
    "MAPE",
    "Huber",
    "LogLinQuantile",
    "Lq",
    "Expectile",
    "MultiRMSE",
)


def _loss(estimator: Any) -> str:
    told: str = estimator.get_all_params()["loss_function"]
    return told.partition(":")[0]


def _regression(graph: Operators) -> None:
    loss, sums = _loss(graph.estimator), _sums(graph, _model(graph.estimator))
    if loss in ("Poisson", "Tweedie"):
        sums = graph.add("Exp", sums)
    elif loss not in _PLAIN:
        raise NotImplementedError(f"the loss {loss}")
    graph.add("Identity", sums, out=graph.outputs[0])


def _classification(graph: Operators) -> None:
    loss, sums = _loss(graph.estimator), _sums(graph, _model(graph.estimator))
    if loss == "MultiClass":
        probabilities = graph.add("Softmax", sums, axis=1)
        graph.label(graph.first_largest(sums))
    elif loss in ("Logloss", "CrossEntropy"):
        probabilities = graph.both(graph.add("Sigmoid", sums))
        graph.label(graph.chosen(sums, 2))
    else:
        raise NotImplementedError(f"classes by {loss}")
    graph.add("Identity", probabilities, out=graph.outputs[1])


BY_NAME: dict[str, Conversion] = {
    "CatBoostRegressor": _regression,
    "CatBoostClassifier": _classification,
}
