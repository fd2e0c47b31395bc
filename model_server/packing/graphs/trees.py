"""The fitted trees of an estimator."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.tree._tree import Tree


def trees(estimator: Any) -> Iterator[Any]:
    """Yield each `sklearn.tree._tree.Tree` of an estimator that compares its own inputs.

    Those of a member of an ensemble are among them; those behind other steps of a pipeline are not.
    """
    if isinstance(getattr(estimator, "tree_", None), Tree):  # of neighbours it is something else
        yield estimator.tree_
    members = getattr(estimator, "estimators_", ())
    for member in members.ravel() if isinstance(members, np.ndarray) else members:
        yield from trees(member)


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
