"""Steps that prepare inputs: graphs in doubles, at bin edges and beyond them, and at gaps."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_diabetes
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    Binarizer,
    KBinsDiscretizer,
    Normalizer,
    OneHotEncoder,
    PolynomialFeatures,
    PowerTransformer,
    QuantileTransformer,
    SplineTransformer,
)

from model_server.model.columns import Columns
from model_server.model.manifest import Feature
from model_server.model.onnx_runtime import OnnxRuntime
from model_server.packing.conversion import EXACT, convert
from tests.packing.comparison import answers, assert_same, features, refusal

pytestmark = pytest.mark.slow

STEPS = {
    **{
        f"products {settings}": PolynomialFeatures(**settings)
        for settings in (
            {"degree": 3},
            {"degree": 3, "interaction_only": True},
            {"degree": (2, 3)},
            {"degree": 1, "include_bias": False},
        )
    },
    "powers": PowerTransformer(standardize=False),
    "standardized powers": PowerTransformer(),
    **{
        f"{encode} {strategy}": KBinsDiscretizer(
            4, encode=encode, strategy=strategy, quantile_method="averaged_inverted_cdf"
        )
        for encode in ("onehot", "onehot-dense", "ordinal")
        for strategy in ("uniform", "quantile")
    },
    **{
        f"splines {extrapolation} {knots}": SplineTransformer(
            degree=2, knots=knots, extrapolation=extrapolation, include_bias=knots == "uniform"
        )
        for extrapolation in ("constant", "linear", "continue")
        for knots in ("uniform", "quantile")
    },
    **{
        f"quantiles {distribution}": QuantileTransformer(
            n_quantiles=30, output_distribution=distribution
        )
        for distribution in ("uniform", "normal")
    },
    **{f"norm {norm}": Normalizer(norm) for norm in ("l1", "l2", "max")},
}


@pytest.fixture
def table() -> tuple[Any, Any]:
    """Return rows with a column of two values, one of few, and one that is constant."""
    X, y = load_diabetes(return_X_y=True)
    X = X[:, :5] * 100
    X[:, 2] = X[:, 2].round()
    X[:, 3] = 1.5
    return X, y


@pytest.mark.filterwarnings("ignore:Feature 3 is constant", "ignore:Bins whose width are too small")
@pytest.mark.parametrize("name", STEPS)
def test_a_step(name: str, table: tuple[Any, Any]) -> None:
    X, y = table
    model = make_pipeline(STEPS[name], Ridge()).fit(X[:300], y[:300])
    assert_same(model, X[:300], X[300:])


def test_splines_that_repeat(table: tuple[Any, Any]) -> None:
    X, y = table
    X = X[:, :3]
    model = make_pipeline(SplineTransformer(extrapolation="periodic"), Ridge()).fit(
        X[:300], y[:300]
    )
    assert_same(model, X[:300], X[300:])


@pytest.mark.filterwarnings("ignore:Feature 3 is constant", "ignore:Bins whose width are too small")
@pytest.mark.parametrize("at", ["edges", "knots", "quantiles"])
def test_numbers_where_two_pieces_meet(at: str, table: tuple[Any, Any]) -> None:
    X, y = table
    step: Any = {
        "edges": KBinsDiscretizer(5, quantile_method="averaged_inverted_cdf"),
        "knots": SplineTransformer(),
        "quantiles": QuantileTransformer(n_quantiles=20),
    }[at]
    model = make_pipeline(step, Ridge()).fit(X, y)
    if at == "edges":
        meet = np.unique(np.concatenate(step.bin_edges_))
    elif at == "knots":
        meet = np.unique([spline.t for spline in step.bsplines_])
    else:
        meet = np.unique(step.quantiles_)
    meet = meet[np.isfinite(meet)]
    rows = np.concatenate(
        [
            np.tile(near[:, None], X.shape[1])
            for near in (meet, np.nextafter(meet, -np.inf), np.nextafter(meet, np.inf))
        ]
    )
    converted = convert(model, features(X), X)
    assert converted.graph is not None, converted.conversion.reason
    actual = OnnxRuntime(converted.graph, features(X)).predict(rows)
    np.testing.assert_allclose(actual, model.predict(rows), rtol=EXACT)


@pytest.mark.parametrize("size", [1e-12, 1e-3, 1e8])
def test_powers_of_small_and_of_large_numbers(size: float) -> None:
    X, y = load_diabetes(return_X_y=True)
    X *= size
    model = make_pipeline(PowerTransformer(), LinearRegression()).fit(X[:300], y[:300])
    assert_same(model, X[:300], X[300:])


@pytest.mark.parametrize("exponent", [0.0, 2.0, 1.0])
def test_powers_that_are_logarithms(exponent: float, table: tuple[Any, Any]) -> None:
    X, y = table
    model = make_pipeline(PowerTransformer(standardize=False), Ridge()).fit(X, y)
    model[0].lambdas_ = np.full(X.shape[1], exponent)
    assert_same(model, X, X[:50] / 7)


@pytest.mark.parametrize(
    ("step", "columns", "reason"),
    [
        (SplineTransformer(extrapolation="error"), [0, 1], "an error beyond the last knot"),
        (SplineTransformer(extrapolation="periodic"), [0, 3], "periodic splines of a constant"),
        (SplineTransformer(degree=1, extrapolation="linear"), [0, 1], "splines of degree 1"),
        (SplineTransformer(handle_missing="zeros"), [0, 1], "splines of missing values"),
        (MissingIndicator(missing_values=1.5), [0, 3], "an error where a number that is finite"),
    ],
    ids=["error", "constant", "lines", "gaps", "indicator"],
)
def test_a_step_that_is_left_to_the_estimator(
    step: Any, columns: list[int], reason: str, table: tuple[Any, Any]
) -> None:
    X, y = table[0][:, columns], table[1]
    model = make_pipeline(step, LinearRegression()).fit(X, y)
    assert reason in refusal(model, X)


def with_gaps(X: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return rows with gaps in each column but the first, and a column of nothing else."""
    X = X.copy()
    gaps = np.random.default_rng(0).random(X.shape) < 0.1
    gaps[:, 0] = False
    X[gaps] = np.nan
    X[:, 3] = np.nan
    return X


@pytest.mark.filterwarnings("ignore:Skipping features")
@pytest.mark.parametrize("strategy", ["mean", "median", "most_frequent", "constant"])
@pytest.mark.parametrize("indicated", [True, False], ids=["indicated", "filled"])
@pytest.mark.parametrize("kept", [True, False], ids=["kept", "dropped"])
def test_gaps_are_filled(
    strategy: str, table: tuple[Any, Any], *, indicated: bool, kept: bool
) -> None:
    X, y = with_gaps(table[0]), table[1]
    step = SimpleImputer(strategy=strategy, add_indicator=indicated, keep_empty_features=kept)
    model = make_pipeline(step, LinearRegression()).fit(X[:300], y[:300])
    assert_same(model, X[:300], X[300:])


def test_a_number_stands_for_a_gap(table: tuple[Any, Any]) -> None:
    X, y = table
    X[::7, 0] = -1.0
    step = SimpleImputer(missing_values=-1, add_indicator=True)
    model = make_pipeline(step, LinearRegression()).fit(X, y)
    assert_same(model, X, X[::7])


@pytest.mark.parametrize("which", ["all", "missing-only"])
def test_gaps_are_told(which: str, table: tuple[Any, Any]) -> None:
    X, y = with_gaps(table[0]), table[1]
    model = make_pipeline(MissingIndicator(features=which), Ridge()).fit(X[:300], y[:300])
    assert_same(model, X[:300], X[300:])


@pytest.mark.parametrize("missing", [np.nan, "?"])
def test_texts_are_filled(missing: Any) -> None:
    rng = np.random.default_rng(0)
    names, heats = ("?", "gas", "oil"), rng.integers(0, 3, 200)
    seen = pd.DataFrame({"area": rng.normal(size=200), "heat": np.array(names, object)[heats]})
    seen.loc[::9, "area"] = np.nan
    texts = SimpleImputer(missing_values=missing, strategy="most_frequent")
    model = make_pipeline(
        make_column_transformer(
            (SimpleImputer(), ["area"]),
            (make_pipeline(texts, OneHotEncoder(sparse_output=False)), ["heat"]),
        ),
        Ridge(),
    ).fit(seen, heats + rng.normal(size=200))
    rows = seen.astype(object).where(seen.notna(), None).to_numpy().tolist()
    columns = (
        Feature(name="area", missing=True),
        Feature(name="heat", type="category", categories=names),
    )
    converted = convert(model, columns, Columns(columns).read(rows))
    assert converted.graph is not None, converted.conversion.reason
    assert converted.tolerance.relative == EXACT


def test_a_number_at_the_threshold_is_not_above_it() -> None:
    X = np.arange(40.0).reshape(-1, 1)
    estimator = make_pipeline(Binarizer(threshold=7.0), LinearRegression()).fit(X, X.ravel())
    np.testing.assert_allclose(*answers(estimator, X), rtol=1e-12)
