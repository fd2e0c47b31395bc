"""The bytes of fitted trees."""

import io
from typing import Any

import joblib
import numpy as np
from sklearn.ensemble import (
    BaggingRegressor,
    RandomForestRegressor,
    StackingRegressor,
    VotingRegressor,
)
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor

from model_server.packing.graphs.trees import clear_padding, trees
from tests.training import samples
from training.dataset import build


def test_padding_is_cleared_and_predictions_stay() -> None:
    dataset = build(samples.table(200), "price", ["area", "age"])
    forest = RandomForestRegressor(20, random_state=0).fit(dataset.X, dataset.y)
    before = forest.predict(dataset.X)
    for tree in trees(forest):
        _padding(tree)[:] = 255
    clear_padding(forest)
    np.testing.assert_array_equal(forest.predict(dataset.X), before)
    assert len(list(trees(forest))) == 20
    for tree in trees(forest):
        assert not _padding(tree).any()
    assert _dump(forest) == _dump(forest)


def test_trees_are_found_wherever_they_compare_the_inputs() -> None:
    dataset = build(samples.table(200), "price", ["area", "age"])
    behind = make_pipeline(StandardScaler(), DecisionTreeRegressor())
    members = [
        ("a", DecisionTreeRegressor()),
        ("b", RandomForestRegressor(3)),
        ("c", BaggingRegressor(DecisionTreeRegressor(), 4)),
        ("d", behind),
    ]
    for vote in (VotingRegressor(members), StackingRegressor(members)):
        assert len(list(trees(vote.fit(dataset.X, dataset.y)))) == 1 + 3 + 4
    assert not list(trees(KernelDensity().fit(dataset.X))), "that is a tree of neighbours"


def _padding(tree: Any) -> Any:
    nodes = tree.__getstate__()["nodes"]
    used = nodes.dtype.fields["missing_go_to_left"][1] + 1
    return nodes.view(np.uint8).reshape(len(nodes), -1)[:, used:]


def _dump(estimator: Any) -> Any:
    stream = io.BytesIO()
    joblib.dump(estimator, stream)
    return stream.getvalue()
