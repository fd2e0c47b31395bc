"""Every regressor and classifier of scikit-learn has a graph that answers as it does."""

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.utils._test_common.instance_generator import _construct_instances
from sklearn.utils.discovery import all_estimators
from threadpoolctl import threadpool_limits

from model_server.model.manifest import Feature
from model_server.model.onnx_runtime import OnnxRuntime
from model_server.packing.conversion import convert
from model_server.packing.probes import blocks

pytestmark = pytest.mark.slow

WITHOUT_GRAPH = {
    "KNeighborsClassifier": "the irises are rounded, so that neighbours are as far off"
}
COUNTS = ("MultinomialNB", "ComplementNB", "BernoulliNB", "CategoricalNB")
TWO_CLASSES = ("FixedThresholdClassifier", "TunedThresholdClassifierCV")
SEVERAL_TARGETS = (
    *("CCA", "PLSCanonical", "PLSRegression", "MultiOutputRegressor", "RegressorChain"),
    *("MultiTaskElasticNet", "MultiTaskElasticNetCV", "MultiTaskLasso", "MultiTaskLassoCV"),
)
SMALL_NUMBERS = ("GammaRegressor", "PoissonRegressor", "TweedieRegressor", "QuantileRegressor")


def predictors() -> dict[str, type]:
    return {
        name: kind
        for name, kind in all_estimators()
        if issubclass(kind, (ClassifierMixin, RegressorMixin))
    }


def table(name: str, kind: type) -> tuple[Any, Any]:
    """Return rows that an estimator can be fitted on."""
    if name in TWO_CLASSES:
        X, y = load_breast_cancer(return_X_y=True)
    elif issubclass(kind, ClassifierMixin):
        X, y = load_iris(return_X_y=True)
        if name in COUNTS:
            X = np.round(X)
        if name in {"MultiOutputClassifier", "ClassifierChain"}:
            y = np.column_stack([y == 0, y == 1]).astype(int)
        elif name != "SelfTrainingClassifier":
            y = np.array(["setosa", "versicolor", "virginica"])[y]
    else:
        X, y = load_diabetes(return_X_y=True)
        X = X[:, :1] if name == "IsotonicRegression" else X[:, :6] * 100
        if name in SMALL_NUMBERS:
            X /= 10
        if name in SEVERAL_TARGETS:
            y = np.column_stack([y, np.sqrt(y)])
    return X, y


def answered(estimator: Any, made_up: Iterator[Any]) -> Iterator[Any]:
    """Leave out the rows that an estimator refuses."""
    for block in made_up:
        with contextlib.suppress(Exception):
            estimator.predict(block)
            yield block


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", predictors())
def test_the_graph_answers_as_the_estimator_does(name: str) -> None:
    kind = predictors()[name]
    estimator = next(iter(_construct_instances(kind)))
    if name.startswith("RadiusNeighbors"):
        estimator.set_params(radius=1e3)
    if name == "DummyClassifier":
        estimator.set_params(strategy="prior")  # others are at random
    X, y = table(name, kind)
    seen = np.random.default_rng(2).permutation(len(X))[: len(X) * 7 // 10]
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore")
        estimator.fit(X[seen], y[seen])
        features = tuple(Feature(name=f"x{at}") for at in range(X.shape[1]))
        converted = convert(estimator, features, X[seen])
        if name in WITHOUT_GRAPH:
            assert converted.graph is None
            return
        assert converted.graph is not None, converted.conversion.reason
        rows = np.concatenate([X, *answered(estimator, blocks(estimator, features, X))])
        expected = np.asarray(estimator.predict(rows))
        y_graph = OnnxRuntime(converted.graph, features, converted.outputs).predict(rows)
    if isinstance(estimator, ClassifierMixin):
        np.testing.assert_array_equal(y_graph, expected)
    else:
        allowed = converted.tolerance
        np.testing.assert_allclose(
            y_graph, expected, rtol=2 * allowed.relative, atol=2 * allowed.absolute
        )
