"""Graphs of trees beside scikit-learn: the same bits, on rows where they would differ first."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn import ensemble, tree
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.model_selection import train_test_split
from threadpoolctl import threadpool_limits

from model_server.model.manifest import Feature, Output
from model_server.model.onnx_runtime import OnnxRuntime
from model_server.packing.conversion import convert
from model_server.packing.graphs.graph import graph
from model_server.packing.probes import probes

Table = tuple[npt.NDArray[np.float64], npt.NDArray[Any]]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Histogram boosting's threads spin while others have the cores."""
    with threadpool_limits(1):
        yield


def diabetes() -> Table:
    X, y = load_diabetes(return_X_y=True)
    return X, y


def two_targets() -> Table:
    X, y = diabetes()
    return X, np.column_stack([y, np.sqrt(y)])


def cancer() -> Table:
    X, y = load_breast_cancer(return_X_y=True)
    return X, y


def cancer_with_gaps() -> Table:
    X, y = cancer()
    X[np.random.default_rng(0).random(X.shape) < 0.1] = np.nan
    return X, y


def iris() -> Table:
    X, y = load_iris(return_X_y=True)
    return X, np.array(["setosa", "versicolor", "virginica"])[y]


REGRESSORS = {
    "a tree": (tree.DecisionTreeRegressor(), diabetes),
    "an extra tree": (tree.ExtraTreeRegressor(), diabetes),
    "a leaf": (tree.DecisionTreeRegressor(min_samples_leaf=1000), diabetes),
    "a tree of two targets": (tree.DecisionTreeRegressor(max_depth=5), two_targets),
    "a forest": (ensemble.RandomForestRegressor(30), diabetes),
    "a forest of two targets": (ensemble.RandomForestRegressor(20), two_targets),
    "extra trees": (ensemble.ExtraTreesRegressor(20), diabetes),
    "boosting": (ensemble.GradientBoostingRegressor(n_estimators=50), diabetes),
    "boosting of a quantile": (
        ensemble.GradientBoostingRegressor(loss="quantile", alpha=0.9, n_estimators=50),
        diabetes,
    ),
    "boosting from zero": (ensemble.GradientBoostingRegressor(init="zero"), diabetes),
}
HISTOGRAM_REGRESSORS = {
    "boosting": (ensemble.HistGradientBoostingRegressor(max_iter=50), diabetes),
    "boosting of counts": (
        ensemble.HistGradientBoostingRegressor(max_iter=50, loss="poisson"),
        diabetes,
    ),
}
CLASSIFIERS = {
    "a tree": (tree.DecisionTreeClassifier(max_depth=4), iris),
    "a leaf": (tree.DecisionTreeClassifier(min_samples_leaf=1000), cancer),
    "a forest": (ensemble.RandomForestClassifier(30), cancer),
    "a forest with gaps": (ensemble.RandomForestClassifier(30), cancer_with_gaps),
    "votes that are even": (ensemble.ExtraTreesClassifier(20), cancer),
    "three classes": (ensemble.RandomForestClassifier(20, max_depth=3), iris),
    "boosting": (ensemble.GradientBoostingClassifier(n_estimators=50), cancer),
    "boosting by another loss": (
        ensemble.GradientBoostingClassifier(n_estimators=50, loss="exponential"),
        cancer,
    ),
    "boosting of three classes": (ensemble.GradientBoostingClassifier(n_estimators=20), iris),
}
HISTOGRAM_CLASSIFIERS = {
    "boosting with gaps": (
        ensemble.HistGradientBoostingClassifier(max_iter=50),
        cancer_with_gaps,
    ),
    "boosting of three classes": (ensemble.HistGradientBoostingClassifier(max_iter=30), iris),
}


def fitted(estimator: Any, table: Any) -> tuple[Any, Any, tuple[Feature, ...]]:
    """Fit on 70 % of a table; return the estimator, the probes of all of it, and its features."""
    X, y = table()
    part = train_test_split(X, y, train_size=0.7, random_state=2)
    estimator = estimator.set_params(random_state=0).fit(part[0], part[2])
    features = tuple(Feature(name=f"x{at}") for at in range(X.shape[1]))
    return estimator, probes(estimator, features, X), features


def parametrize(fast: dict[str, Any], slow: dict[str, Any]) -> pytest.MarkDecorator:
    """The first histogram boosting of a process looks for its cores with a program."""
    return pytest.mark.parametrize(
        ("estimator", "table"),
        [
            *(pytest.param(*case, id=name) for name, case in fast.items()),
            *(
                pytest.param(*case, id=f"histogram {name}", marks=pytest.mark.slow)
                for name, case in slow.items()
            ),
        ],
    )


@parametrize(REGRESSORS, HISTOGRAM_REGRESSORS)
def test_numbers_are_the_same_to_the_last_bit(estimator: Any, table: Any) -> None:
    estimator, X, features = fitted(estimator, table)
    expected = estimator.predict(X)
    outputs = [Output(name="prediction", shape=expected.shape[1:])]
    y = OnnxRuntime(graph(estimator, features, "float64"), features, outputs).predict(X)
    if getattr(estimator, "loss", "") == "poisson":  # ONNX Runtime has an exponential of its own
        np.testing.assert_allclose(y, expected, rtol=1e-15)
    else:
        np.testing.assert_array_equal(y, expected)


@parametrize(CLASSIFIERS, HISTOGRAM_CLASSIFIERS)
def test_labels_are_the_same(estimator: Any, table: Any) -> None:
    estimator, X, features = fitted(estimator, table)
    probabilities = estimator.predict_proba(X)
    outputs = [
        Output(name="prediction", type="text"),
        Output(name="probability", shape=probabilities.shape[1:]),
    ]
    runtime = OnnxRuntime(graph(estimator, features, "float64"), features, outputs)
    np.testing.assert_array_equal(runtime.predict(X), estimator.predict(X))
    scores = runtime.answer(X, ["probability"])["probability"]
    np.testing.assert_allclose(scores, probabilities, rtol=0, atol=1e-15)


@pytest.mark.slow
def test_categories_that_were_not_seen_go_with_what_is_missing() -> None:
    rng = np.random.default_rng(0)
    X, y = diabetes()
    X[:, 1] = rng.integers(3, 15, len(X)) * 2
    X[:, 3] = rng.integers(0, 90, len(X))
    X[::7, 1] = np.nan
    estimator = ensemble.HistGradientBoostingRegressor(categorical_features=[1, 3], max_iter=50)
    estimator.fit(X[:300], y[:300])
    assert any(each[0].nodes["is_categorical"].any() for each in estimator._predictors)
    X = X[rng.integers(len(X), size=3000)]
    X[:, 1] = rng.integers(-2, 40, len(X))
    X[::3, 3] = rng.integers(0, 120, 1000)
    X[::5, 1] = np.nan
    features = tuple(Feature(name=f"x{at}") for at in range(X.shape[1]))
    runtime = OnnxRuntime(graph(estimator, features, "float64"), features)
    np.testing.assert_array_equal(runtime.predict(X), estimator.predict(X))


@pytest.mark.parametrize("settings", [{}, {"contamination": 0.1, "max_features": 0.5}])
def test_what_lies_outside_is_the_same(settings: dict[str, Any]) -> None:
    X, _ = cancer()
    estimator = ensemble.IsolationForest(n_estimators=50, random_state=0, **settings).fit(X[:400])
    features = tuple(Feature(name=f"x{at}") for at in range(X.shape[1]))
    rows = probes(estimator, features, X)
    outputs = [Output(name="prediction", type="integer"), Output(name="decision")]
    runtime = OnnxRuntime(graph(estimator, features, "float64"), features, outputs)
    np.testing.assert_array_equal(runtime.predict(rows), estimator.predict(rows))
    scores = runtime.answer(rows, ["decision"])["decision"]
    np.testing.assert_allclose(scores, estimator.decision_function(rows), atol=1e-15)


def test_a_label_beside_a_rounded_threshold() -> None:
    """Doubles that scikit-learn rounds to a threshold, and classes with as many votes."""
    X, y = cancer()
    for kind, seed in ((ensemble.RandomForestClassifier, 2), (ensemble.ExtraTreesClassifier, 2)):
        seen, _, labels, _ = train_test_split(X, y, train_size=0.7, random_state=seed)
        estimator = kind(20, random_state=seed).fit(seen, labels)
        features = tuple(Feature(name=f"x{at}") for at in range(X.shape[1]))
        converted = convert(estimator, features, seen)
        assert converted.graph is not None
        assert converted.tolerance.relative == 0
        y_graph = OnnxRuntime(converted.graph, features).predict(X)
        np.testing.assert_array_equal(y_graph, estimator.predict(X))


def test_what_is_not_trees_alone_is_left_to_others() -> None:
    X, y = diabetes()
    estimator = ensemble.GradientBoostingRegressor(
        init=ensemble.RandomForestRegressor(3, random_state=0), n_estimators=3, random_state=0
    ).fit(X, y)
    features = tuple(Feature(name=f"x{at}") for at in range(X.shape[1]))
    converted = convert(estimator, features, X)
    assert converted.graph is None
    assert "boosting that begins with another estimator" in converted.conversion.reason
