"""The fitted trees of an estimator."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline


def trees(estimator: Any) -> Iterator[Any]:
    """Yield each `sklearn.tree._tree.Tree` of a decision tree or of an ensemble of them."""
    members = np.ravel(estimator.estimators_) if hasattr(estimator, "estimators_") else (estimator,)
    for member in members:
        if hasattr(member, "tree_"):
            yield member.tree_


def clear_padding(estimator: Any) -> None:
    """Zero the bytes of a fitted estimator's trees that mean nothing.

    scikit-learn leaves the padding of its nodes, and ``missing_go_to_left`` of a leaf, as the
    memory was. They are pickled, so without this equal models would differ on disk.
    """
    last = estimator.steps[-1][1] if isinstance(estimator, Pipeline) else estimator
    for tree in trees(last):
        state = tree.__getstate__()
        nodes = np.zeros(state["nodes"].shape, state["nodes"].dtype)
        for field in nodes.dtype.names:
            nodes[field] = state["nodes"][field]
        nodes["missing_go_to_left"][nodes["left_child"] < 0] = 0
        tree.__setstate__({**state, "nodes": nodes})
