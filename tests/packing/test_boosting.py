"""Other libraries' boosted trees: graphs with their own bits, so that no server needs them."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from catboost import CatBoostClassifier, CatBoostRegressor
from lightgbm import LGBMClassifier, LGBMRanker, LGBMRegressor
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from xgboost import XGBClassifier, XGBRegressor

from model_server.model import directory as model_directory
from model_server.model.columns import Columns, Instances
from model_server.model.directory import ONNX
from model_server.model.estimator_runtime import EstimatorRuntime
from model_server.model.onnx_runtime import OnnxRuntime
from model_server.packing.conversion import CLOSE, EXACT
from model_server.packing.pack import pack
from model_server.packing.package import Package
from model_server.packing.probes import probes

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.*is deprecated:UserWarning:xgboost"),
]

ONE_THREAD: dict[str, Any] = {"n_jobs": 1}
A_FOREST: dict[str, Any] = {
    **ONE_THREAD,
    "n_estimators": 1,
    "num_parallel_tree": 40,
    "learning_rate": 1.0,
    "subsample": 0.8,
}
QUIET: dict[str, Any] = {"n_jobs": 1, "verbose": -1}
SILENT: dict[str, Any] = {
    "iterations": 40,
    "verbose": 0,
    "allow_writing_files": False,
    "thread_count": 1,
}
Table = tuple[npt.NDArray[np.float64], npt.NDArray[Any]]


def diabetes() -> Table:
    X, y = load_diabetes(return_X_y=True)
    return X, y


def shares() -> Table:
    X, y = diabetes()
    return X, y / y.max()


def two_targets() -> Table:
    X, y = diabetes()
    return X, np.column_stack([y, np.sqrt(y)])


def cancer() -> Table:
    X, y = load_breast_cancer(return_X_y=True)
    return X[:, :8], y


def iris() -> Table:
    X, y = load_iris(return_X_y=True)
    return X, y


def flowers() -> Table:
    X, y = load_iris(return_X_y=True)
    return X, np.array(["setosa", "versicolor", "virginica"])[y]


def with_gaps(table: Table) -> Table:
    X, y = table
    X = X.copy()
    X[np.random.default_rng(0).random(X.shape) < 0.1] = np.nan
    return X, y


def stopped_early() -> Any:
    X, y = diabetes()
    estimator = XGBRegressor(early_stopping_rounds=2, n_estimators=200, **ONE_THREAD)
    return estimator.fit(X[:300], y[:300], eval_set=[(X[300:], y[300:])], verbose=False)


EXACTLY = {
    "xgboost": (XGBRegressor(**ONE_THREAD), diabetes()),
    "xgboost, gaps": (XGBRegressor(**ONE_THREAD), with_gaps(diabetes())),
    "xgboost, a forest": (XGBRegressor(**A_FOREST), diabetes()),
    "xgboost, two targets": (XGBRegressor(**ONE_THREAD), two_targets()),
    "xgboost, quantiles": (
        XGBRegressor(objective="reg:quantileerror", quantile_alpha=[0.1, 0.9], **ONE_THREAD),
        diabetes(),
    ),
    "lightgbm": (LGBMRegressor(**QUIET), diabetes()),
    "lightgbm, gaps": (LGBMRegressor(**QUIET), with_gaps(diabetes())),
    "lightgbm, counts": (LGBMRegressor(objective="poisson", **QUIET), diabetes()),
    "lightgbm, a forest": (
        LGBMRegressor(boosting_type="rf", subsample=0.7, subsample_freq=1, **QUIET),
        diabetes(),
    ),
    "lightgbm, dart": (LGBMRegressor(boosting_type="dart", **QUIET), diabetes()),
    "lightgbm, two classes": (LGBMClassifier(**QUIET), with_gaps(cancer())),
    "lightgbm, classes": (LGBMClassifier(**QUIET), flowers()),
    "lightgbm, one and the rest": (
        LGBMClassifier(objective="multiclassova", **QUIET),
        flowers(),
    ),
    "lightgbm, scaled": (make_pipeline(StandardScaler(), LGBMClassifier(**QUIET)), flowers()),
    "catboost": (CatBoostRegressor(**SILENT), diabetes()),
    "catboost, gaps are least": (CatBoostRegressor(**SILENT), with_gaps(diabetes())),
    "catboost, gaps are most": (CatBoostRegressor(nan_mode="Max", **SILENT), with_gaps(diabetes())),
    "catboost, counts": (CatBoostRegressor(loss_function="Poisson", **SILENT), diabetes()),
    "catboost, two targets": (
        CatBoostRegressor(loss_function="MultiRMSE", **SILENT),
        two_targets(),
    ),
    "catboost, by depth": (CatBoostRegressor(grow_policy="Depthwise", **SILENT), diabetes()),
    "catboost, two classes": (CatBoostClassifier(**SILENT), with_gaps(cancer())),
    "catboost, classes": (CatBoostClassifier(**SILENT), flowers()),
    "catboost, classes by loss": (
        CatBoostClassifier(grow_policy="Lossguide", **SILENT),
        flowers(),
    ),
    "catboost, scaled": (make_pipeline(StandardScaler(), CatBoostClassifier(**SILENT)), flowers()),
}
TO_SINGLES = {
    "xgboost, two classes": (XGBClassifier(**ONE_THREAD), with_gaps(cancer())),
    "xgboost, classes": (XGBClassifier(**ONE_THREAD), iris()),
    "xgboost, a forest of classes": (XGBClassifier(**A_FOREST), iris()),
    "xgboost, scaled": (make_pipeline(StandardScaler(), XGBClassifier(**ONE_THREAD)), iris()),
    "xgboost, counts": (XGBRegressor(objective="count:poisson", **ONE_THREAD), diabetes()),
    "xgboost, shares": (XGBRegressor(objective="reg:logistic", **ONE_THREAD), shares()),
    "xgboost, dart": (
        XGBRegressor(booster="dart", rate_drop=0.2, n_estimators=20, **ONE_THREAD),
        diabetes(),
    ),
}
ESTIMATORS: dict[str, tuple[Any, Table, str]] = {
    "xgboost, linear": (XGBRegressor(booster="gblinear"), diabetes(), "a booster of the kind"),
    "xgboost, -1 for a gap": (
        XGBRegressor(missing=-1.0, **ONE_THREAD),
        diabetes(),
        "-1.0 as a missing value",
    ),
    "lightgbm, 0 for a gap": (
        LGBMRegressor(zero_as_missing=True, **QUIET),
        (diabetes()[0].round(2), diabetes()[1]),
        "zeros as missing values",
    ),
    "lightgbm, lines": (LGBMRegressor(linear_tree=True, **QUIET), diabetes(), "linear leaves"),
}


def packed(estimator: Any, X: Any) -> tuple[Package, Instances]:
    """Return a package, and rows that it is to answer: the sample's, and probes."""
    made = pack(estimator, pd.DataFrame(X), "model")
    features = made.manifest.features
    rows = Columns(features).read(pd.DataFrame(X).astype(object).values.tolist())
    return made, probes(estimator, features, rows)


def assert_answers(made: Package, estimator: Any, rows: Instances, relative: float) -> None:
    """See that the graph answers as the estimator does."""
    manifest = made.manifest
    assert ONNX in made.files, manifest.conversion.reason
    names = [output.name for output in manifest.outputs]
    theirs = EstimatorRuntime(estimator, manifest.features, manifest.outputs, manifest.container)
    ours = OnnxRuntime(made.files[ONNX], manifest.features, manifest.outputs)
    expected = theirs.answer(rows, names)
    for name, values in ours.answer(rows, names).items():
        if values.dtype.kind == "f":
            np.testing.assert_allclose(values, expected[name], rtol=relative, atol=relative)
        else:
            np.testing.assert_array_equal(values, expected[name])


@pytest.mark.parametrize("name", EXACTLY)
def test_a_graph_gives_the_same(name: str) -> None:
    estimator, (X, y) = EXACTLY[name]
    estimator.fit(X, y)
    made, rows = packed(estimator, X)
    assert_answers(made, estimator, rows, EXACT)


@pytest.mark.parametrize("name", TO_SINGLES)
def test_numbers_are_as_near_as_singles_are(name: str) -> None:
    estimator, (X, y) = TO_SINGLES[name]
    estimator.fit(X, y)
    made, rows = packed(estimator, X)
    assert_answers(made, estimator, rows, CLOSE)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_what_no_graph_says_is_left_to_the_library(name: str) -> None:
    estimator, (X, y), reason = ESTIMATORS[name]
    estimator.fit(X, y)
    made, _ = packed(estimator, X)
    assert ONNX not in made.files
    assert reason in made.manifest.conversion.reason


def test_rounds_after_the_best_one_do_not_count() -> None:
    estimator = stopped_early()
    assert estimator.best_iteration < 100
    made, rows = packed(estimator, diabetes()[0])
    assert_answers(made, estimator, rows, EXACT)


def test_scores_of_a_ranking_are_a_number_each() -> None:
    X, y = diabetes()
    ranks = np.digitize(y, [100, 200, 300])
    made, rows = packed(ranker := LGBMRanker(**QUIET).fit(X, ranks, group=[221, 221]), X)
    assert_answers(made, ranker, rows, EXACT)


def test_a_label_of_several_classes_comes_plain() -> None:
    X, y = flowers()
    estimator = CatBoostClassifier(**SILENT).fit(X, y)
    assert estimator.predict(X[:2]).shape == (2, 1), "so CatBoost has it"
    made, rows = packed(estimator, X)
    assert made.manifest.outputs[0].shape == ()
    assert EstimatorRuntime(estimator, made.manifest.features).predict(rows).ndim == 1


WITHOUT_THE_LIBRARY = """
import sys
from pathlib import Path
sys.modules["xgboost"] = None
from model_server.model import directory, loading
from model_server.model.columns import Columns
read = directory.read(Path(sys.argv[1]))
row = Columns(read.manifest.features).read([[1.0] * len(read.manifest.features)])
print(float(loading.load(read).predict(row)[0]))
"""


def test_a_graph_is_served_where_its_library_is_not_installed(tmp_path: Path) -> None:
    X, y = diabetes()
    estimator = XGBRegressor(**ONE_THREAD).fit(X, y)
    made, _ = packed(estimator, X)
    model_directory.write(tmp_path / "model", made.manifest, made.files)
    command = [sys.executable, "-c", WITHOUT_THE_LIBRARY, str(tmp_path / "model")]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert float(told) == float(estimator.predict(np.ones((1, X.shape[1])))[0])


def places(*, gaps: bool) -> tuple[pd.DataFrame, pd.Series]:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "age": rng.random(300),
            "city": pd.Categorical(rng.choice(["Bern", "Kiel", "Oslo", "Rome", "Turin"], 300)),
            "kind": pd.Categorical(rng.choice(["flat", "house"], 300)),
            "rooms": rng.integers(1, 9, 300),
        }
    )
    y = frame.age + 5 * (frame.city == "Rome") + frame.rooms * (frame.kind == "house")
    if gaps:
        frame.loc[rng.random(300) < 0.1, "city"] = None
        frame.loc[rng.random(300) < 0.1, "age"] = np.nan
    return frame, y


CATEGORIES: dict[str, Any] = {
    "lightgbm": LGBMRegressor(min_child_samples=3, **QUIET),
    "xgboost": XGBRegressor(enable_categorical=True, **ONE_THREAD),
    "xgboost, one at a time": XGBRegressor(
        enable_categorical=True, max_cat_to_onehot=9, **ONE_THREAD
    ),
}


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("name", CATEGORIES)
def test_categories_are_asked_by_their_label(name: str, *, gaps: bool) -> None:
    frame, y = places(gaps=gaps)
    estimator = CATEGORIES[name].fit(frame, y)
    made = pack(estimator, frame, "model")
    kinds = [feature.type for feature in made.manifest.features]
    assert kinds == ["number", "category", "category", "integer"]
    rows = Columns(made.manifest.features).read(
        frame.astype(object).where(frame.notna(), None).values.tolist()
    )
    assert_answers(made, estimator, rows, EXACT)
    ours = OnnxRuntime(made.files[ONNX], made.manifest.features, made.manifest.outputs)
    np.testing.assert_allclose(ours.predict(rows), estimator.predict(frame), rtol=EXACT)


def test_hashed_categories_are_left_to_catboost() -> None:
    frame, y = places(gaps=False)
    estimator = CatBoostRegressor(cat_features=["city", "kind"], **SILENT).fit(frame, y)
    made = pack(estimator, frame, "model")
    assert "which are hashed" in made.manifest.conversion.reason
    assert made.manifest.outputs[0].shape == ()
