"""Trees as ONNX writes them: the operator TreeEnsemble.

Source: the operator's specification, domain ``ai.onnx.ml``, version 5. The trees of one operator
are gone through in their order, so its sums are rounded as those of a loop over the trees.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import TensorProto, helper

OPSET = 5

_LEQ, _MEMBER = 0, 6
_SUM = 1

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Values = npt.NDArray[np.float64] | npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Tree:
    """One tree: an entry a node, the root first.

    Attributes
    ----------
    feature : ndarray of int
        Whose number is compared.
    threshold : ndarray of float
        A number that is not greater goes on at ``yes``.
    yes, no : ndarray of int
        The nodes that follow; -1 at a leaf.
    missing_yes : ndarray of bool
        Whether NaN goes on at ``yes``.
    members : dict of int to ndarray of float
        For nodes that ask in place of a threshold whether the number is one of these.
    """

    feature: Integers
    threshold: Floats
    yes: Integers
    no: Integers
    missing_yes: Flags
    members: dict[int, Floats]

    @property
    def leaf(self) -> Flags:
        """Which nodes are leaves."""
        return self.yes < 0


def constant(value: Any) -> tuple[Tree, Any]:
    """Return a tree that gives one value for every row, and its nodes' values, of its type."""
    one = np.array([0, -1, -1])
    tree = Tree(one * 0, one * 0.0, np.array([1, -1, -1]), np.array([2, -1, -1]), one > 0, {})
    return tree, np.full(3, value)


def attributes(
    trees: Sequence[Tree],
    values: Sequence[Values],
    targets: Sequence[int],
    n_targets: int,
) -> dict[str, Any]:
    """Return the attributes of an operator that adds the trees' values up.

    Parameters
    ----------
    trees : sequence of Tree
    values : sequence of ndarray of float or float32
        Each tree's values, an entry a node; only those of leaves count. Thresholds and sums are of
        their type, and so are the inputs.
    targets : sequence of int
        To which sum each tree belongs.
    n_targets : int
        How many sums there are.
    """
    whole = [
        (tree, value) if not tree.leaf[0] else constant(value[0])
        for tree, value in zip(trees, values, strict=True)
    ]
    parts: dict[str, list[Any]] = {key: [] for key in _KEYS}
    n_nodes = n_leaves = 0
    for (tree, value), target in zip(whole, targets, strict=True):
        leaf, inner = tree.leaf, ~tree.leaf
        place = np.where(leaf, n_leaves + np.cumsum(leaf) - 1, n_nodes + np.cumsum(inner) - 1)
        parts["tree_roots"].append([n_nodes])
        for name, following in (("true", tree.yes[inner]), ("false", tree.no[inner])):
            parts[f"nodes_{name}nodeids"].append(place[following])
            parts[f"nodes_{name}leafs"].append(leaf[following])
        modes = np.full(len(leaf), _LEQ)
        modes[list(tree.members)] = _MEMBER
        parts["nodes_modes"].append(modes[inner])
        parts["nodes_featureids"].append(tree.feature[inner])
        parts["nodes_splits"].append(np.where(modes == _MEMBER, 0.0, tree.threshold)[inner])
        parts["nodes_missing_value_tracks_true"].append(tree.missing_yes[inner])
        parts["membership_values"] += [
            np.append(tree.members[node], np.nan) for node in sorted(tree.members)
        ]
        parts["leaf_weights"].append(value[leaf])
        parts["leaf_targetids"].append(np.full(int(leaf.sum()), target))
        n_nodes += int(inner.sum())
        n_leaves += int(leaf.sum())
    joined = {key: np.concatenate(part) for key, part in parts.items() if part}
    kind = helper.np_dtype_to_tensor_dtype(np.result_type(*{value.dtype for value in values}))
    typed = {
        key: _tensor(key, joined.pop(key), TensorProto.UINT8 if key == _MODES else kind)
        for key in _TENSORS
        if key in joined
    }
    integers = {key: values.astype(np.int64).tolist() for key, values in joined.items()}
    return {**typed, **integers, "n_targets": n_targets, "aggregate_function": _SUM}


_MODES = "nodes_modes"
_TENSORS = (_MODES, "nodes_splits", "membership_values", "leaf_weights")
_KEYS = (
    *("tree_roots", "nodes_truenodeids", "nodes_trueleafs", "nodes_falsenodeids"),
    *("nodes_falseleafs", "nodes_featureids", "nodes_missing_value_tracks_true"),
    *("leaf_targetids", *_TENSORS),
)


def _tensor(name: str, values: npt.NDArray[Any], kind: int) -> TensorProto:
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    return helper.make_tensor(name, kind, values.shape, values.astype(dtype).tobytes(), raw=True)
