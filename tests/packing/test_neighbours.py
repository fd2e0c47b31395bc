"""Neighbours and centroids: by distances that are known to the last bit, or by none."""

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor, NearestCentroid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.packing.comparison import assert_same, refusal

pytestmark = pytest.mark.slow

DISTANCES: dict[str, dict[str, Any]] = {
    "euclidean": {},
    "manhattan": {"p": 1},
    "in a ball tree": {"algorithm": "ball_tree"},
    "manhattan in a search of all rows": {"algorithm": "brute", "metric": "cityblock"},
}


def rows() -> tuple[Any, Any]:
    X, y = load_diabetes(return_X_y=True)
    return X[:, [0, 2, 3, 4, 5]] * 100, y


@pytest.mark.parametrize("weights", ["uniform", "distance"])
@pytest.mark.parametrize("name", DISTANCES)
def test_numbers(name: str, weights: str) -> None:
    X, y = rows()
    Y = np.column_stack([y, np.sqrt(y)]) if name == "euclidean" else y
    model = KNeighborsRegressor(7, weights=weights, **DISTANCES[name]).fit(X[:300], Y[:300])
    assert_same(model, X[:300], X[300:])


@pytest.mark.parametrize("weights", ["uniform", "distance"])
@pytest.mark.parametrize("texts", [True, False], ids=["texts", "integers"])
@pytest.mark.parametrize("name", DISTANCES)
def test_classes(name: str, weights: str, *, texts: bool) -> None:
    X, y = rows()
    y = np.digitize(y, [100, 200])
    classes = np.array(["low", "middle", "high"])[y] if texts else y
    nearest = KNeighborsClassifier(4, weights=weights, **DISTANCES[name])
    model = make_pipeline(StandardScaler(), nearest).fit(X[:300], classes[:300])
    assert_same(model, X[:300], X[300:])


@pytest.mark.parametrize("metric", ["euclidean", "chebyshev", "cosine"])
def test_a_search_of_all_rows(metric: str) -> None:
    X, y = load_iris(return_X_y=True)
    X += np.random.default_rng(0).normal(scale=1e-3, size=X.shape)  # no two as near as each other
    model = KNeighborsClassifier(algorithm="brute", metric=metric).fit(X[::2], y[::2])
    assert_same(model, X[::2], X[1::2])


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"algorithm": "brute"}, "weights by the distance euclidean in a search of all rows"),
        ({"metric": "cosine"}, "weights by the distance cosine in a search of all rows"),
        ({"metric": "canberra"}, "the distance canberra"),
        ({"metric": "minkowski", "p": 3, "metric_params": {"w": np.ones(5)}}, "the distance"),
        ({"weights": lambda distances: 1 / (1 + distances)}, "weights of one's own"),
    ],
    ids=["euclidean", "cosine", "canberra", "weighted features", "weights"],
)
def test_distances_that_are_left_to_the_estimator(settings: dict[str, Any], reason: str) -> None:
    X, y = rows()
    model = KNeighborsRegressor(**{"weights": "distance", **settings}).fit(X, y)
    assert reason in refusal(model, X)


@pytest.mark.parametrize(
    "settings", [{}, {"metric": "manhattan"}, {"priors": "empirical"}], ids=str
)
@pytest.mark.parametrize("table", [load_iris, load_breast_cancer])
def test_centroids(table: Any, settings: dict[str, Any]) -> None:
    X, y = table(return_X_y=True)
    y = np.array(["one", "two", "three"])[y]
    seen = np.random.default_rng(0).permutation(len(X))
    model = NearestCentroid(**settings).fit(X[seen[:90]], y[seen[:90]])
    assert_same(model, X[seen[:90]], X[seen[90:]])


@pytest.mark.filterwarnings("ignore:self.within_class_std_dev_ has at least 1 zero")
def test_centroids_with_a_feature_that_is_constant() -> None:
    X, y = load_iris(return_X_y=True)
    X[:, 1] = 3
    model = NearestCentroid(shrink_threshold=0.1).fit(X, y)
    assert_same(model, X, X + 0.01)


def test_rows_on_a_grid_have_no_graph() -> None:
    X, y = load_iris(return_X_y=True)
    assert "rows as far off as others" in refusal(KNeighborsClassifier().fit(X, y), X)
