"""Estimators that are made of others, and what they take from these: labels, scores, numbers."""

from typing import Any

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import (
    AdaBoostClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.frozen import FrozenEstimator
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge, RidgeClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier, OutputCodeClassifier
from sklearn.multioutput import ClassifierChain, RegressorChain
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from sklearn.svm import SVC, LinearSVC
from threadpoolctl import threadpool_limits

from tests.packing.comparison import assert_same, refusal

pytestmark = pytest.mark.slow

CLASSIFIERS = {
    "linear": LogisticRegression(max_iter=5000),
    "ridge": RidgeClassifier(),
    "discriminants": LinearDiscriminantAnalysis(),
    "forest": RandomForestClassifier(10, random_state=0),
    "adaptive boosting": AdaBoostClassifier(n_estimators=5, random_state=0),
    "boosting": GradientBoostingClassifier(n_estimators=5, random_state=0),
    "histogram boosting": HistGradientBoostingClassifier(max_iter=5, random_state=0),
    "support vectors": SVC(),
    "pipeline": make_pipeline(StandardScaler(), make_pipeline(StandardScaler(), SVC())),
}


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    """Histogram boosting's threads spin while others have the cores."""
    with threadpool_limits(1):
        yield


def rows(classes: str) -> tuple[Any, Any, Any]:
    """Return rows to fit on, their classes, and some more rows."""
    if classes == "three texts":
        X, y = load_iris(return_X_y=True)
        y = np.array(["setosa", "versicolor", "virginica"])[y]
    else:
        X, y = load_breast_cancer(return_X_y=True)
        X, y = X[:240, :8], y[:240]
        if classes == "two texts":
            y = np.array(["malignant", "benign"])[y]
    order = np.random.default_rng(0).permutation(len(X))
    seen, held_out = order[: len(X) * 2 // 3], order[len(X) * 2 // 3 :]
    return X[seen], y[seen], X[held_out]


@pytest.mark.parametrize("classes", ["three texts", "two texts", "two integers"])
@pytest.mark.parametrize("name", CLASSIFIERS)
@pytest.mark.parametrize("kind", [OneVsRestClassifier, OneVsOneClassifier, OutputCodeClassifier])
def test_classes_told_apart_by_several(kind: Any, name: str, classes: str) -> None:
    X, y, held_out = rows(classes)
    settings = {"random_state": 0} if kind is OutputCodeClassifier else {}
    model = kind(CLASSIFIERS[name], **settings).fit(X, y)
    if kind is OutputCodeClassifier and name == "forest":
        assert "codes of what may be as near to one as to another" in refusal(model, X)
    else:
        assert_same(model, X, held_out)


def test_classes_told_from_others_by_regression() -> None:
    X, y, held_out = rows("three texts")
    assert_same(OneVsRestClassifier(Ridge()).fit(X, y), X, held_out)


@pytest.mark.parametrize("classes", ["three texts", "two integers"])
@pytest.mark.parametrize("method", ["sigmoid", "isotonic", "temperature"])
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_calibrated_probabilities(name: str, method: str, classes: str) -> None:
    X, y, held_out = rows(classes)
    model = CalibratedClassifierCV(CLASSIFIERS[name], method=method, cv=2).fit(X, y)
    assert_same(model, X, held_out)


def test_calibration_of_what_is_frozen() -> None:
    X, y, held_out = rows("three texts")
    frozen = FrozenEstimator(CLASSIFIERS["pipeline"].fit(X, y))
    assert_same(CalibratedClassifierCV(frozen, ensemble=False).fit(X, y), X, held_out)
    scaled = StandardScaler().fit(X)
    inner = FrozenEstimator(LogisticRegression().fit(scaled.transform(X), y))
    assert_same(make_pipeline(FrozenEstimator(scaled), inner).fit(X, y), X, held_out)


@pytest.mark.parametrize("kind", [OneVsRestClassifier, OneVsOneClassifier, CalibratedClassifierCV])
def test_a_search_is_its_best(kind: Any) -> None:
    X, y, held_out = rows("three texts")
    pipeline = make_pipeline(StandardScaler(), LogisticRegression())
    search = GridSearchCV(pipeline, {"logisticregression__C": [0.1, 1]}, cv=2)
    assert_same(kind(search).fit(X, y), X, held_out)


@pytest.mark.parametrize("classes", ["three texts", "two texts", "two integers"])
@pytest.mark.parametrize("name", ["ridge", "discriminants", "adaptive boosting"])
def test_classes_in_doubles_alone(name: str, classes: str) -> None:
    X, y, held_out = rows(classes)
    assert_same(make_pipeline(PolynomialFeatures(2), CLASSIFIERS[name]).fit(X, y), X, held_out)


@pytest.mark.parametrize("classes", ["three texts", "two integers"])
def test_linear_support_vectors(classes: str) -> None:
    X, y, held_out = rows(classes)
    assert_same(LinearSVC().fit(X, y), X, held_out)


@pytest.mark.parametrize("beyond", ["nan", "clip"])
def test_isotonic_regression(beyond: str) -> None:
    X, y = load_diabetes(return_X_y=True)
    X = X[:, [2]]
    model = IsotonicRegression(increasing="auto", out_of_bounds=beyond).fit(X[:300], y[:300])
    held_out = X[300:] if beyond == "clip" else X[300:] / 4
    assert_same(model, X[:300], held_out)


def test_isotonic_regression_of_a_constant() -> None:
    X = np.linspace(-1, 1, 20).reshape(-1, 1)
    model = IsotonicRegression(out_of_bounds="clip").fit(X * 0, X.ravel())
    assert_same(model, X * 0, X)


def test_isotonic_regression_with_an_error_beyond_is_left_to_the_estimator() -> None:
    X = np.linspace(-1, 1, 20).reshape(-1, 1)
    model = IsotonicRegression(out_of_bounds="raise").fit(X, X.ravel())
    assert "an error beyond what was seen" in refusal(model, X)


@pytest.mark.parametrize("order", [None, [2, 0, 1]])
@pytest.mark.parametrize("scaled", [False, True], ids=["plain", "in a pipeline"])
def test_a_chain_of_regressors(order: Any, *, scaled: bool) -> None:
    X, y = load_diabetes(return_X_y=True)
    Y = np.column_stack([y, np.sqrt(y), np.log(y)])
    link = make_pipeline(StandardScaler(), LinearRegression()) if scaled else Ridge()
    assert_same(RegressorChain(link, order=order).fit(X[:300], Y[:300]), X[:300], X[300:])


@pytest.mark.parametrize("method", ["predict", "predict_proba"])
@pytest.mark.parametrize("name", ["linear", "histogram boosting"])
def test_a_chain_of_classifiers(name: str, method: str) -> None:
    X, y = load_iris(return_X_y=True)
    Y = np.column_stack([y == 0, y == 1, y == 2]).astype(int)
    chain = ClassifierChain(CLASSIFIERS[name], order=[2, 0, 1], chain_method=method)
    assert_same(chain.fit(X[::2], Y[::2]), X[::2], X[1::2])


def test_a_chain_of_decision_values_is_left_to_the_estimator() -> None:
    X, y = load_iris(return_X_y=True)
    Y = np.column_stack([y == 0, y == 1]).astype(int)
    chain = ClassifierChain(CLASSIFIERS["linear"], chain_method="decision_function").fit(X, Y)
    assert "a chain by decision_function" in refusal(chain, X)
