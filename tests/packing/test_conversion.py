"""The rows at which a graph is held against its estimator."""

from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeRegressor

from model_server.model.estimator_runtime import EstimatorRuntime
from model_server.model.onnx_runtime import OnnxRuntime
from model_server.packing import conversion
from model_server.packing.conversion import EXACT, Expected, convert
from model_server.packing.probes import MAXIMUM_ROWS, blocks, probes
from tests.training import samples
from training.dataset import build


@pytest.fixture
def dataset() -> Any:
    return build(samples.table(), "price", ["area", "age"])


def test_every_threshold_is_probed_with_its_neighbours(dataset: Any) -> None:
    tree = DecisionTreeRegressor(random_state=0).fit(dataset.X, dataset.y)
    X = probes(tree, dataset.features, dataset.X)
    split = tree.tree_.feature >= 0
    assert split.sum() > 50
    for feature, threshold in zip(
        tree.tree_.feature[split], tree.tree_.threshold[split], strict=True
    ):
        narrow = np.float32(threshold)
        above = float(np.nextafter(narrow, np.float32(np.inf)))
        assert {
            threshold,
            np.nextafter(threshold, -np.inf),
            np.nextafter(threshold, np.inf),
            float(np.nextafter(narrow, np.float32(-np.inf))),
            above,
            np.nextafter((float(narrow) + above) / 2, -np.inf),
        } <= set(X[:, feature])
    assert not X.any(axis=1).all(), "a row of zeros"


def test_a_threshold_off_by_one_float_is_noticed(dataset: Any) -> None:
    tree = DecisionTreeRegressor(max_depth=3, random_state=0).fit(dataset.X, dataset.y)
    graph = convert(tree, dataset.features, dataset.X).graph
    assert graph is not None
    runs = OnnxRuntime(graph, dataset.features)
    X = probes(tree, dataset.features, dataset.X)
    np.testing.assert_array_equal(runs.predict(X), tree.predict(X))
    thresholds = tree.tree_.threshold
    thresholds[0] = np.nextafter(np.float32(thresholds[0]), np.float32(np.inf))
    np.testing.assert_array_equal(runs.predict(dataset.X), tree.predict(dataset.X))
    X = probes(tree, dataset.features, dataset.X)
    assert (runs.predict(X) != tree.predict(X)).any()


def test_a_probability_that_is_off_is_noticed(dataset: Any) -> None:
    """Where no label differs: coefficients that are a millionth larger than the graph's."""
    labels = dataset.y > np.median(dataset.y)
    model = LogisticRegression(max_iter=5000).fit(dataset.X, labels.astype(int))
    found = convert(model, dataset.features, dataset.X)
    assert found.graph is not None
    runs = OnnxRuntime(found.graph, dataset.features, found.outputs)
    model.coef_ *= 1.000001
    np.testing.assert_array_equal(runs.predict(dataset.X), model.predict(dataset.X))
    X = probes(model, dataset.features, dataset.X)
    names = [output.name for output in found.outputs]
    assert names == ["prediction", "probability"]
    answers = EstimatorRuntime(model, dataset.features).answer(X, names)
    expected = Expected(answers, len(dataset.X))
    assert expected.differ(runs.answer(X, names), EXACT).any()


def test_a_conversion_has_a_time_limit(dataset: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(*_: object) -> bytes:
        while True:
            pass

    monkeypatch.setattr(conversion, "LIMIT_S", 0.05)
    monkeypatch.setattr(conversion, "graph", endless)
    model = LogisticRegression(max_iter=5000).fit(dataset.X, dataset.y > np.median(dataset.y))
    found = convert(model, dataset.features, dataset.X)
    assert found.graph is None
    assert found.conversion.reason == "TimeoutError: the conversion takes longer than 0.05 s"


def test_many_splits_are_sampled_the_same_way_twice(dataset: Any) -> None:
    boosting = GradientBoostingRegressor(n_estimators=400, max_depth=5, random_state=0)
    boosting.fit(dataset.X, dataset.y)
    X = probes(boosting, dataset.features, dataset.X)
    made_up = len([*blocks(boosting, dataset.features, dataset.X)][-1])
    assert MAXIMUM_ROWS - 6 < 6 * made_up <= MAXIMUM_ROWS
    np.testing.assert_array_equal(X, probes(boosting, dataset.features, dataset.X))
