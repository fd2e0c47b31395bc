"""Every estimator of scikit-learn, fitted on what it reads."""

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.utils._test_common.instance_generator import _construct_instances
from sklearn.utils.discovery import all_estimators

from soak.coverage.case import Case, Container, split

_COUNTS = ("BernoulliNB", "CategoricalNB", "ComplementNB", "MultinomialNB", "TfidfTransformer")
_POSITIVE = ("AdditiveChi2Sampler", "LatentDirichletAllocation", "MiniBatchNMF", "NMF")
_TWO_CLASSES = ("FixedThresholdClassifier", "TunedThresholdClassifierCV")
_SEVERAL_LABELS = ("ClassifierChain", "MultiOutputClassifier")
_SEVERAL_TARGETS = (
    *("CCA", "PLSCanonical", "PLSRegression", "MultiOutputRegressor", "RegressorChain"),
    *("MultiTaskElasticNet", "MultiTaskElasticNetCV", "MultiTaskLasso", "MultiTaskLassoCV"),
)
_SMALL_NUMBERS = ("GammaRegressor", "PoissonRegressor", "QuantileRegressor", "TweedieRegressor")
_TEXTS = ("CountVectorizer", "HashingVectorizer", "TfidfVectorizer")
_ONE_COLUMN = ("IsotonicRegression",)

_COLUMNS = "abcdefghijklmnopqrstuvwxyzABCDEF"


def cases() -> Iterator[tuple[str, Case | None]]:
    """Yield the name of each, fitted; or None for one that can't be fitted on rows."""
    for name, kind in all_estimators():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield name, _case(name, kind)
        except Exception:  # noqa: BLE001 - it reads something other than rows
            yield name, None


def _case(name: str, kind: type) -> Case:
    estimator: Any = next(iter(_construct_instances(kind)))
    if name.startswith("RadiusNeighbors"):
        estimator.set_params(radius=1e3)
    if name == "DummyClassifier":
        estimator.set_params(strategy="prior")  # others are at random
    frame, y, container = _table(name, kind)
    return split(name, estimator, frame, y, container)


def _table(name: str, kind: type) -> tuple[pd.DataFrame, Any, Container]:
    if name in _TEXTS:
        texts = [f"a {'fine' if row % 2 else 'dull'} film number {row}" for row in range(60)]
        return pd.DataFrame({"text": texts}), None, "series"
    if issubclass(kind, RegressorMixin) and not issubclass(kind, ClassifierMixin):
        return *_numbers(name), "array"
    if name in _TWO_CLASSES:
        X, y = load_breast_cancer(return_X_y=True)
        return _frame(X), y, "array"
    X, y = load_iris(return_X_y=True)
    if name in _COUNTS:
        X = np.round(X)
    labels: Any = np.array(["setosa", "versicolor", "virginica"])[y]
    if name in _SEVERAL_LABELS:
        labels = np.column_stack([y == 0, y == 1]).astype(int)
    elif name == "SelfTrainingClassifier" or not issubclass(kind, ClassifierMixin):
        labels = y
    return _frame(np.abs(X) if name in _POSITIVE else X), labels, "array"


def _numbers(name: str) -> tuple[pd.DataFrame, Any]:
    X, y = load_diabetes(return_X_y=True)
    X = X[:, :1] if name in _ONE_COLUMN else X[:, :6] * 100
    if name in _SMALL_NUMBERS:
        X = X / 10
    return _frame(X), np.column_stack([y, np.sqrt(y)]) if name in _SEVERAL_TARGETS else y


def _frame(X: Any) -> pd.DataFrame:
    return pd.DataFrame(X, columns=list(_COLUMNS[: X.shape[1]]))
