"""The built-in data and the two models made from it."""

import hashlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model_server.model import directory as model_directory
from model_server.model import loading
from model_server.model.columns import Columns
from model_server.model.estimator_runtime import EstimatorRuntime
from training import boston, table
from training.errors import TrainingError

SHA256 = "79ac716620024011b03c0c44d2bf99069b8173649181926d9109c25475a3804c"


@pytest.fixture(scope="module")
def jobs() -> Any:
    return {card.name: (dataset, card) for dataset, card in boston.models()}


@pytest.fixture(scope="module")
def rooms(models: Path) -> Any:
    return model_directory.read(models / "rooms")


def test_the_data_is_the_known_one() -> None:
    assert hashlib.sha256(boston.DATA.read_bytes()).hexdigest() == SHA256
    cells = table.read(boston.DATA)
    assert list(cells)[-3:] == ["B", "LSTAT", "MEDV"]
    assert [cells[name][0] for name in ("CRIM", "RM", "TAX", "MEDV")] == [
        "0.00632",
        "6.575",
        "296",
        "24",
    ]


def test_changed_data_is_refused(tmp_path: Path) -> None:
    folder = shutil.copytree(boston.DATA.parent, tmp_path / "data")
    data = folder / boston.DATA.name
    data.write_text(data.read_text().replace("0.00632", "0.00633", 1))
    with pytest.raises(TrainingError, match=r"its SHA-256 is .*; restore the file from git"):
        next(boston.models(data))


def test_rooms_reads_rm_and_boston_all_but_b(jobs: Any) -> None:
    names = {
        name: [feature.name for feature in dataset.features] for name, (dataset, _) in jobs.items()
    }
    others = [name for name in table.read(boston.DATA) if name not in ("B", "MEDV")]
    assert names == {"rooms": ["RM"], "boston": others}


def test_the_target_is_in_dollars(jobs: Any) -> None:
    dataset, card = jobs["boston"]
    assert dataset.y[:3].tolist() == [24000.0, 21600.0, 34700.0]
    assert dataset.target.unit == "USD"
    assert dataset.target.maximum == card.cap == 50000.0


def test_every_feature_is_described(jobs: Any) -> None:
    for feature in jobs["boston"][0].features:
        assert feature.description, feature.name
        assert feature.unit, feature.name


def test_more_rooms_are_never_worth_less(rooms: Any) -> None:
    values = loading.load(rooms).predict(np.linspace(3, 9.5, 2000)[:, None])
    assert np.all(np.diff(values) >= 0)
    assert values[0] < 16_000
    assert values[-1] > 44_000


@pytest.mark.parametrize(("name", "rmse"), [("rooms", 6_200), ("boston", 3_300)])
def test_models_beat_the_baseline(models: Path, name: str, rmse: Any) -> None:
    manifest = model_directory.read(models / name).manifest
    assert manifest.metrics["rmse"].mean < rmse
    assert manifest.metrics["rmse"].baseline > 9_000
    assert manifest.metrics["r2"].std > 0


@pytest.mark.parametrize("name", ["rooms", "boston"])
def test_onnx_answers_and_agrees_with_the_estimator(models: Path, jobs: Any, name: str) -> None:
    read = model_directory.read(models / name)
    assert read.model_file == model_directory.ONNX
    assert read.manifest.conversion.rows_compared > 10_000
    X = jobs[name][0].X
    estimator = EstimatorRuntime(_estimator(models / name), read.manifest.features)
    assert loading.agree(
        loading.load(read).predict(X), estimator.predict(X), read.manifest.tolerance
    )


def test_golden_rows_hold_the_extremes_and_the_median(rooms: Any) -> None:
    [feature] = rooms.manifest.features
    instances = [instance[0] for instance in rooms.manifest.golden.instances]
    assert instances[:3] == [feature.minimum, feature.median, feature.maximum]
    assert 5 <= len(instances) <= 10


def test_the_interval_is_asymmetric_and_covers_the_rows_fitted(rooms: Any, jobs: Any) -> None:
    interval = rooms.manifest.target.interval
    dataset = jobs["rooms"][0]
    off = dataset.y - loading.load(rooms).predict(dataset.X)
    covered = np.mean((interval.lower <= off) & (off <= interval.upper))
    assert interval.lower < 0 < interval.upper
    assert interval.coverage == 0.9
    assert 0.9 <= covered < 0.95


def test_columns_read_what_the_manifest_says(rooms: Any) -> None:
    assert Columns(rooms.manifest.features).read([{"RM": 6.5}]).tolist() == [[6.5]]


def _estimator(directory: Any) -> Any:
    import joblib

    return joblib.load(directory / model_directory.JOBLIB)
