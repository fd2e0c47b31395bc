"""The bytes of fitted trees."""

import io
from typing import Any

import joblib
import numpy as np
from sklearn.ensemble import RandomForestRegressor

from model_server.packing.trees import clear_padding, trees
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


def _padding(tree: Any) -> Any:
    nodes = tree.__getstate__()["nodes"]
    used = nodes.dtype.fields["missing_go_to_left"][1] + 1
    return nodes.view(np.uint8).reshape(len(nodes), -1)[:, used:]


def _dump(estimator: Any) -> Any:
    stream = io.BytesIO()
    joblib.dump(estimator, stream)
    return stream.getvalue()
