"""Models of a made-up table, fitted in moments: graphs of a matrix and of columns, estimators."""

from pathlib import Path
from typing import Any

from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from model_server.inference.executor import Executors
from model_server.kserve.repository import Repository
from model_server.model import directory
from model_server.model.estimator_runtime import load_estimator
from model_server.model.load_policy import LoadPolicy
from tests.training import samples
from training.dataset import build
from training.package import package

SHAPED = make_pipeline(
    make_column_transformer((OneHotEncoder(), ["shape"]), remainder="passthrough"),
    LinearRegression(),
)
MODELS: dict[str, tuple[Any, str, list[str]]] = {
    "numbers": (RandomForestRegressor(5, random_state=0), "price", ["area", "age"]),
    "labels": (RandomForestClassifier(5, random_state=0), "class", ["area", "age"]),
    "stars": (RandomForestClassifier(5, random_state=0), "stars", ["area", "age"]),
    "shapes": (SHAPED, "price", ["area", "shape"]),
    "estimator": (RandomForestRegressor(5, random_state=0), "price", ["area", "age"]),
}


def opened(folder: Path, rows_limit: int) -> Repository:
    """Write them below a folder, and load them in this process."""
    return opened_from(write(folder), rows_limit)


def opened_from(folder: Path, rows_limit: int, *, ignores_surplus: bool = False) -> Repository:
    """Load what is below a folder in this process."""
    executors, policy = (
        Executors(queue_limit_s=60).start(),
        LoadPolicy({}, pickle=True, ignores_surplus=ignores_surplus),
    )
    repository = Repository(folder, policy, load_estimator, executors, rows_limit)
    repository.open(skip_broken=False)
    return repository


def write(models: Path) -> Path:
    """Write a directory for each below a folder."""
    for name, (estimator, target, features) in MODELS.items():
        dataset = build(samples.table(), target, features)
        packaged = package(estimator.fit(dataset.inputs, dataset.y), dataset, name)
        files = dict(packaged.files)
        if name == "estimator":
            del files[directory.ONNX]
        directory.write(models / name, packaged.manifest, files)
    return models
