"""The models that are served, and the requests that they are asked.

Each is fitted on the twelve features of the built-in model ``boston`` and the square of one of
them, so that a row has 13 numbers.
"""

import csv
import io
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import GradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bench.errors import BenchError
from model_server.model import directory as model_directory
from model_server.model.columns import Matrix
from model_server.model.manifest import Feature, Tolerance
from model_server.model.runtime import agree
from training import boston
from training.dataset import Dataset
from training.package import package

BOOSTING = "gradient boosting of 200 trees"
FOREST = "random forest of 100 trees"
LINEAR = "linear pipeline"

JSON = "application/json"
CSV = "text/csv"

SQUARED = "RM"


@dataclass(frozen=True)
class Model:
    """A model directory, and rows to ask it for.

    Attributes
    ----------
    name : str
        By which it is served.
    directory : Path
        The only one in its parent folder.
    X : ndarray of shape (n_rows, 13), float64
        Rows to predict, asked for from the first on and again when they end.
    y : ndarray of shape (n_rows,), float64
        What the estimator predicts for them.
    features : tuple of str
    tolerance : Tolerance
        How far an answer may be from `y`.
    """

    name: str
    directory: Path
    X: Matrix
    y: npt.NDArray[np.float64]
    features: tuple[str, ...]
    tolerance: Tolerance

    @property
    def path(self) -> str:
        """The route that predicts."""
        return f"/v1/models/{self.name}:predict"

    def body(self, rows: int, media_type: str) -> bytes:
        """Write a request for the first `rows` rows, in CSV with a header."""
        instances = np.resize(self.X, (rows, self.X.shape[1])).tolist()
        if media_type == JSON:
            return json.dumps({"instances": instances}).encode()
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([self.features, *instances])
        return text.getvalue().encode()

    def check(self, answer: bytes) -> None:
        """See that the answer for the first row is what the estimator predicts.

        Raises
        ------
        BenchError
            If it is none, or further off than the manifest's tolerance.
        """
        try:
            prediction = np.array(json.loads(answer)["predictions"], dtype=np.float64)
            right = agree(prediction, self.y[:1], self.tolerance)
        except (KeyError, TypeError, ValueError):
            right = False
        if not right:
            raise BenchError(f"answers {answer[:80]!r} where the estimator predicts {self.y[0]}")


def fit(folder: Path) -> dict[str, Model]:
    """Fit the models and write their directories, one a subfolder of `folder`.

    Returns
    -------
    dict of str to Model
        By title.
    """
    dataset = _dataset()
    estimators: dict[str, Any] = {
        BOOSTING: GradientBoostingRegressor(n_estimators=200, random_state=0),
        FOREST: RandomForestRegressor(n_estimators=100, random_state=0),
        LINEAR: make_pipeline(StandardScaler(), RidgeCV()),
    }
    models = {}
    for title, estimator in estimators.items():
        name = title.split()[0]
        packaged = package(estimator.fit(dataset.inputs, dataset.y), dataset, name)
        directory = folder / name / name
        model_directory.write(directory, packaged.manifest, packaged.files)
        models[title] = Model(
            name,
            directory,
            dataset.X,
            estimator.predict(dataset.X),
            tuple(feature.name for feature in dataset.features),
            packaged.manifest.tolerance,
        )
    return models


def _dataset() -> Dataset:
    dataset = next(dataset for dataset, card in boston.models() if card.name == "boston")
    rooms = [feature.name for feature in dataset.features].index(SQUARED)
    square = np.round(dataset.X[:, rooms] ** 2, 4)
    feature = Feature(
        name=f"{SQUARED}_SQUARED",
        minimum=float(square.min()),
        maximum=float(square.max()),
        median=float(np.median(square)),
    )
    return replace(
        dataset,
        X=np.column_stack([dataset.X, square]),
        features=(*dataset.features, feature),
    )
