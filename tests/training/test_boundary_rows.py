"""The rows at which a graph is held against its estimator."""

from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.tree import DecisionTreeRegressor

from model_server.model import runtime
from tests.training import samples
from training.boundary_rows import MAXIMUM_ROWS, boundary_rows
from training.dataset import build
from training.onnx_conversion import convert, tolerance


@pytest.fixture
def dataset() -> Any:
    return build(samples.table(), "price", ["area", "age"])


def test_every_threshold_is_probed_with_its_neighbours(dataset: Any) -> None:
    tree = DecisionTreeRegressor(random_state=0).fit(dataset.X, dataset.y)
    X = boundary_rows(tree, dataset)
    split = tree.tree_.feature >= 0
    assert split.sum() > 50
    for feature, threshold in zip(
        tree.tree_.feature[split], tree.tree_.threshold[split], strict=True
    ):
        narrow = np.float32(threshold)
        assert {
            threshold,
            np.nextafter(threshold, -np.inf),
            np.nextafter(threshold, np.inf),
            float(np.nextafter(narrow, np.float32(-np.inf))),
            float(np.nextafter(narrow, np.float32(np.inf))),
        } <= set(X[:, feature])


def test_a_threshold_off_by_one_float_is_noticed(dataset: Any) -> None:
    tree = DecisionTreeRegressor(max_depth=3, random_state=0).fit(dataset.X, dataset.y)
    graph, _ = convert(tree, dataset)
    assert graph is not None
    runs = runtime.OnnxRuntime(graph, dataset.features)
    assert runtime.agree(runs.predict(dataset.X), tree.predict(dataset.X), tolerance(dataset))
    thresholds = tree.tree_.threshold
    thresholds[0] = np.nextafter(np.float32(thresholds[0]), np.float32(np.inf))
    assert runtime.agree(runs.predict(dataset.X), tree.predict(dataset.X), tolerance(dataset))
    X = boundary_rows(tree, dataset)
    assert not runtime.agree(runs.predict(X), tree.predict(X), tolerance(dataset))


def test_many_splits_are_sampled_the_same_way_twice(dataset: Any) -> None:
    boosting = GradientBoostingRegressor(n_estimators=400, max_depth=5, random_state=0)
    boosting.fit(dataset.X, dataset.y)
    X = boundary_rows(boosting, dataset)
    assert len(X) == len(dataset.X) + MAXIMUM_ROWS
    np.testing.assert_array_equal(X, boundary_rows(boosting, dataset))
