"""Support vector machines: graphs in doubles beside libsvm, also where it searches step by step."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KBinsDiscretizer, StandardScaler
from sklearn.svm import SVC, SVR, NuSVC, NuSVR, OneClassSVM

from tests.packing.comparison import assert_same, refusal

pytestmark = pytest.mark.slow

Table = tuple[npt.NDArray[np.float64], npt.NDArray[Any]]


def iris() -> Table:
    X, y = load_iris(return_X_y=True)
    return X, np.array(["setosa", "versicolor", "virginica"])[y]


def cancer() -> Table:
    X, y = load_breast_cancer(return_X_y=True)
    return X[:300], y[:300]


def digits() -> Table:
    X, y = load_digits(return_X_y=True)
    return X[:300], y[:300]


def split(table: Table) -> tuple[Any, ...]:
    X, y = table
    order = np.random.default_rng(1).permutation(len(X))
    seen, held_out = order[: len(X) * 2 // 3], order[len(X) * 2 // 3 :]
    return X[seen], y[seen], X[held_out]


@pytest.mark.parametrize("kernel", ["rbf", "linear", "poly", "sigmoid"])
@pytest.mark.parametrize("kind", [SVR, NuSVR, OneClassSVM])
def test_numbers_and_what_is_unlike_others(kind: Any, kernel: str) -> None:
    X, y, held_out = split(load_diabetes(return_X_y=True))
    settings = {"nu": 0.1} if kind is OneClassSVM else {"C": 50}
    model = make_pipeline(StandardScaler(), kind(kernel=kernel, coef0=0.5, **settings)).fit(X, y)
    assert_same(model, X, held_out)


@pytest.mark.parametrize("table", [iris, cancer, digits])
@pytest.mark.parametrize("kind", [SVC, NuSVC])
@pytest.mark.parametrize(
    "settings", [{}, {"break_ties": True}, {"decision_function_shape": "ovo"}], ids=str
)
def test_classes(kind: Any, table: Any, settings: dict[str, Any]) -> None:
    X, y, held_out = split(table())
    nu = {"nu": 0.1} if kind is NuSVC else {}
    model = make_pipeline(StandardScaler(), kind(**nu, **settings)).fit(X, y)
    assert_same(model, X, held_out)


@pytest.mark.filterwarnings("ignore:The `probability` parameter")
@pytest.mark.parametrize("table", [iris, cancer, digits])
def test_probabilities(table: Any) -> None:
    X, y, held_out = split(table())
    classifier = SVC(probability=True, random_state=0)
    model = make_pipeline(StandardScaler(), classifier).fit(X, y)
    assert_same(model, X, held_out)


@pytest.mark.parametrize("gamma", ["scale", 1.0])
def test_rows_far_from_zero_and_near_each_other(gamma: Any) -> None:
    """Of the square of a year and the product of two, no digit of their distance would be left."""
    X, y = load_diabetes(return_X_y=True)
    X = X[:, :3] + 1e6
    model = SVR(gamma=gamma, C=50).fit(X[:300], y[:300])
    assert_same(model, X[:300], X[300:])


def test_a_kernel_of_ones_own_is_left_to_the_estimator() -> None:
    X, y = load_diabetes(return_X_y=True)
    model = SVR(kernel=lambda one, other: one @ other.T).fit(X, y)
    assert "a kernel of one's own" in refusal(model, X)


@pytest.mark.parametrize("kind", [SVR, SVC, OneClassSVM])
def test_support_vectors_that_are_sparse(kind: Any) -> None:
    X, y = iris()
    bins = KBinsDiscretizer(5, quantile_method="averaged_inverted_cdf")
    model = make_pipeline(bins, kind()).fit(X, X[:, 1] if kind is SVR else y)
    assert model[-1]._sparse
    assert_same(model, X, X[::3] + 0.1)
