"""Round trips of many estimators: packaged, written, read, loaded, and asked again."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    PolynomialFeatures,
    SplineTransformer,
    StandardScaler,
)
from sklearn.svm import SVC, SVR
from sklearn.tree import DecisionTreeRegressor

from model_server.model import directory as model_directory
from model_server.model import loading
from model_server.packing import conversion
from model_server.packing.graphs.graph import graph
from tests.training import samples
from training.dataset import build
from training.package import package

NUMBERS = ["area", "age"]
MIXED = ["area", "age", "shape"]


def columns(*names: Any) -> Any:
    strings = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    return ColumnTransformer([("strings", strings, ["shape"]), ("numbers", "passthrough", names)])


CASES = {
    "linear": (LinearRegression(), "price", NUMBERS, True),
    "ridge pipeline": (make_pipeline(StandardScaler(), Ridge()), "price", NUMBERS, True),
    "polynomial": (make_pipeline(PolynomialFeatures(2), Ridge()), "price", NUMBERS, True),
    "support vectors": (make_pipeline(StandardScaler(), SVR(C=100)), "price", NUMBERS, True),
    "neighbours": (KNeighborsRegressor(3), "price", NUMBERS, True),
    "tree": (DecisionTreeRegressor(random_state=0), "price", NUMBERS, True),
    "forest": (RandomForestRegressor(20, random_state=0), "price", NUMBERS, True),
    "extra trees": (ExtraTreesRegressor(20, random_state=0), "price", NUMBERS, True),
    "boosting": (GradientBoostingRegressor(random_state=0), "price", NUMBERS, True),
    "histogram boosting": (
        HistGradientBoostingRegressor(min_samples_leaf=3, random_state=0),
        "price",
        NUMBERS,
        True,
    ),
    "splines": (make_pipeline(SplineTransformer(), Ridge()), "price", NUMBERS, True),
    "a function": (make_pipeline(FunctionTransformer(np.sqrt), Ridge()), "price", NUMBERS, False),
    "logistic": (
        make_pipeline(StandardScaler(), LogisticRegression()),
        "class",
        NUMBERS,
        True,
    ),
    "forest of classes": (RandomForestClassifier(21, random_state=0), "class", NUMBERS, True),
    "boosting of classes": (GradientBoostingClassifier(random_state=0), "class", NUMBERS, True),
    "support vectors of classes": (
        make_pipeline(StandardScaler(), SVC()),
        "class",
        NUMBERS,
        True,
    ),
    "mixed, linear": (make_pipeline(columns("area", "age"), Ridge()), "price", MIXED, True),
    "mixed, forest": (
        make_pipeline(columns("age", "area"), RandomForestRegressor(20, random_state=0)),
        "price",
        MIXED,
        True,
    ),
    "mixed, classes": (
        make_pipeline(columns("area", "age"), LogisticRegression(max_iter=5000)),
        "class",
        MIXED,
        True,
    ),
    "texts alone": (
        make_pipeline(columns(), RandomForestClassifier(5, random_state=0)),
        "class",
        ["shape"],
        True,
    ),
}


@pytest.mark.parametrize(
    "case",
    [  # the first histogram boosting of a process looks for its cores with a program
        pytest.param(case, marks=pytest.mark.slow if "histogram" in case else ()) for case in CASES
    ],
)
def test_round_trip(case: Any, tmp_path: Path) -> None:
    estimator, target, features, converts = CASES[case]
    dataset = build(samples.table(), target, features)
    fitted = estimator.fit(dataset.inputs, dataset.y)
    packaged = package(fitted, dataset, "sample")
    model_directory.write(tmp_path / "sample", packaged.manifest, packaged.files)

    read = model_directory.read(tmp_path / "sample")
    answers = loading.load(read).predict(dataset.instances)

    assert loading.agree(answers, fitted.predict(dataset.inputs), read.manifest.tolerance)
    assert read.manifest.conversion.converted is converts, read.manifest.conversion.reason
    assert read.model_file == (model_directory.ONNX if converts else model_directory.JOBLIB)
    if not read.manifest.conversion.converted:
        assert read.manifest.conversion.reason
        assert "\n" not in read.manifest.conversion.reason


def test_a_data_frame_of_numbers_keeps_its_names(tmp_path: Path) -> None:
    dataset = build(samples.table(), "price", NUMBERS)
    fitted = make_pipeline(StandardScaler(), Ridge()).fit(dataset.frame, dataset.y)
    packaged = package(fitted, dataset, "sample")
    model_directory.write(tmp_path / "sample", packaged.manifest, packaged.files)
    read = model_directory.read(tmp_path / "sample")
    answers = loading.load(read).predict(dataset.instances)
    assert read.model_file == model_directory.ONNX
    assert loading.agree(answers, fitted.predict(dataset.frame), read.manifest.tolerance)


def test_a_graph_that_answers_otherwise_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = build(samples.table(), "price", NUMBERS)
    fitted = LinearRegression().fit(dataset.X, dataset.y)
    other = LinearRegression().fit(dataset.X, dataset.y + 0.01)
    monkeypatch.setattr(
        conversion, "graph", lambda _, features, precision: graph(other, features, precision)
    )
    packaged = package(fitted, dataset, "sample")
    told = packaged.manifest.conversion
    for precision in ("float64", "float32"):
        differ = (
            rf"in {precision} \d+ of {told.rows_compared} predictions differ from the estimator"
        )
        assert re.search(differ, told.reason)
    assert model_directory.ONNX not in packaged.files


def test_the_version_follows_data_and_estimator() -> None:
    dataset, other = (build(samples.table(seed=seed), "price", NUMBERS) for seed in (0, 1))
    fitted = LinearRegression().fit(dataset.X, dataset.y)
    version = package(fitted, dataset, "sample").manifest.version
    assert version == package(fitted, dataset, "renamed").manifest.version
    assert version != package(fitted, other, "sample").manifest.version
    assert len(version) == 12
    fitted.intercept_ += 1
    assert version != package(fitted, dataset, "sample").manifest.version
