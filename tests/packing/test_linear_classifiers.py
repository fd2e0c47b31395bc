"""Classifiers by values that are linear in the inputs, as graphs in doubles."""

from typing import Any

import pytest
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV, Perceptron, SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.packing.comparison import assert_same

pytestmark = pytest.mark.slow

CLASSIFIERS: dict[str, Any] = {
    "logistic": LogisticRegression(max_iter=500),
    "logistic, searched": LogisticRegressionCV(
        Cs=2, max_iter=500, l1_ratios=(0,), use_legacy_attributes=False
    ),
    "gradient descent": SGDClassifier(random_state=0),
    "gradient descent, logistic": SGDClassifier(loss="log_loss", random_state=0),
    "gradient descent, Huber": SGDClassifier(loss="modified_huber", random_state=0),
    "perceptron": Perceptron(random_state=0),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_labels_and_probabilities(name: str, classes: int) -> None:
    X, y = (load_breast_cancer if classes == 2 else load_iris)(return_X_y=True)
    X, y = X[::2, :6], y[::2]
    estimator = make_pipeline(StandardScaler(), CLASSIFIERS[name]).fit(X[::2], y[::2])
    assert_same(estimator, X[::2], X[1::2])
    texts = [f"class {label}" for label in y]
    assert_same(CLASSIFIERS[name].fit(X[::2], texts[::2]), X[::2], X[1::2])
