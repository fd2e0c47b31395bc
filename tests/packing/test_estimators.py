"""Graphs of what skl2onnx can't convert, or converts into something else."""

from typing import Any

import numpy as np
import pytest
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.dummy import DummyClassifier
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import FixedThresholdClassifier, RandomizedSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.tree import DecisionTreeRegressor

from model_server.model.onnx_runtime import OnnxRuntime
from model_server.packing.conversion import convert
from tests.packing.comparison import answers, features


@pytest.mark.parametrize(
    "how",
    [
        {"func": np.log, "inverse_func": np.exp},
        {"func": np.log1p, "inverse_func": np.expm1},
        {"func": np.square, "inverse_func": np.sqrt},
        {"transformer": StandardScaler()},
        {},
    ],
    ids=["log", "log1p", "square", "scaled", "as it is"],
)
def test_a_target_is_turned_back(how: dict[str, Any]) -> None:
    X, y = load_diabetes(return_X_y=True)
    estimator = TransformedTargetRegressor(DecisionTreeRegressor(max_depth=4), **how).fit(X, y)
    np.testing.assert_allclose(*answers(estimator, X), rtol=1e-12)


def test_a_target_that_is_turned_back_otherwise_is_left_to_the_estimator() -> None:
    X, y = load_diabetes(return_X_y=True)
    scaled = FunctionTransformer(np.arcsinh, inverse_func=np.sinh)
    estimator = TransformedTargetRegressor(LinearRegression(), transformer=scaled).fit(X, y)
    converted = convert(estimator, features(X), X)
    assert converted.graph is None
    assert "a target that is turned back by <ufunc 'sinh'>" in converted.conversion.reason


@pytest.mark.parametrize("label", ["benign", "malignant"])
def test_a_threshold_of_either_class(label: str) -> None:
    X, y = load_breast_cancer(return_X_y=True)
    y = np.array(["malignant", "benign"])[y]
    inner = make_pipeline(StandardScaler(), LogisticRegression())
    estimator = FixedThresholdClassifier(inner, threshold=0.9, pos_label=label).fit(X, y)
    assert (estimator.predict(X) != estimator.estimator_.predict(X)).any()
    np.testing.assert_array_equal(*answers(estimator, X))


@pytest.mark.parametrize("strategy", ["prior", "most_frequent", "constant"])
def test_a_class_that_is_always_the_same(strategy: str) -> None:
    X, y = load_breast_cancer(return_X_y=True)
    constant = 0 if strategy == "constant" else None
    estimator = DummyClassifier(strategy=strategy, constant=constant).fit(X, y)
    np.testing.assert_array_equal(*answers(estimator, X))


@pytest.mark.parametrize("kernel", ["linear", "rbf", "poly", "sigmoid"])
def test_a_kernel(kernel: str) -> None:
    X, y = load_diabetes(return_X_y=True)
    estimator = KernelRidge(alpha=10, kernel=kernel, gamma=0.01, degree=2).fit(X * 10, y)
    np.testing.assert_allclose(*answers(estimator, X * 10), rtol=1e-9, atol=1e-9)


def test_a_search_that_was_fitted_on_a_data_frame() -> None:
    """With names that hold blanks and brackets: a graph of one matrix needs none."""
    X, y = load_diabetes(return_X_y=True, as_frame=True)
    X.columns = [feature.name for feature in features(X)]
    search = RandomizedSearchCV(
        DecisionTreeRegressor(random_state=0), {"max_depth": [2, 3]}, n_iter=2, random_state=0
    ).fit(X, y)
    converted = convert(search, features(X), X.to_numpy())
    assert converted.graph is not None, converted.conversion.reason
    y_graph = OnnxRuntime(converted.graph, features(X)).predict(X.to_numpy())
    np.testing.assert_array_equal(y_graph, search.predict(X))
