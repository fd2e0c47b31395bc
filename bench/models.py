"""The models that are served, and the requests that they are asked.

Most are fitted on the twelve features of the built-in model ``boston`` and the square of one of
them, so that a row has 13 numbers; one on made-up homes, of which some numbers are missing and some
columns are labels; one on what is written of them.
"""

import csv
import io
import itertools
import json
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.ensemble import (
    GradientBoostingRegressor,
    HistGradientBoostingRegressor,
    RandomForestRegressor,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from bench.errors import BenchError
from model_server.formats.tensors import INPUT
from model_server.model import directory as model_directory
from model_server.model.loading import agree
from model_server.model.manifest import Feature, Tolerance
from model_server.packing.pack import pack
from model_server.packing.package import Package
from training import boston
from training.dataset import Dataset
from training.package import package

BOOSTING = "gradient boosting of 200 trees"
FOREST = "random forest of 100 trees"
LINEAR = "linear pipeline"
HISTOGRAM = "histogram boosting of 100 rounds"
COLUMNS = "linear model of labels and numbers with gaps"
TEXTS = "linear model of TF-IDF"

JSON = "application/json"
CSV = "text/csv"

SQUARED = "RM"

_HOMES = 500


@dataclass(frozen=True)
class Model:
    """A model directory, and rows to ask it for.

    Attributes
    ----------
    name : str
        By which it is served.
    directory : Path
        The only one in its parent folder.
    rows : list
        Instances to predict, asked for from the first on and again when they end.
    y : ndarray of shape (n_rows,), float64
        What the estimator predicts for them.
    features : tuple of str
    tolerance : Tolerance
        How far an answer may be from `y`.
    """

    name: str
    directory: Path
    rows: list[Any]
    y: npt.NDArray[np.float64]
    features: tuple[str, ...]
    tolerance: Tolerance

    @property
    def path(self) -> str:
        """The route that predicts."""
        return f"/v1/models/{self.name}:predict"

    @property
    def infer_path(self) -> str:
        """The same of v2."""
        return f"/v2/models/{self.name}/infer"

    def infer_body(self, rows: int) -> bytes:
        """Write a v2 request for the first `rows` rows of numbers."""
        data = list(itertools.chain.from_iterable(self._first(rows)))
        shape = [rows, len(self.features)]
        tensor = {"name": INPUT, "shape": shape, "datatype": "FP64", "data": data}
        return json.dumps({"inputs": [tensor]}).encode()

    def _first(self, rows: int) -> list[Any]:
        return list(itertools.islice(itertools.cycle(self.rows), rows))

    def stock_body(self, rows: int) -> bytes:
        """Write the same in JSON as stock KServe reads it: an object is a frame of lists."""
        instances = [
            {name: [value] for name, value in row.items()} if isinstance(row, dict) else row
            for row in self._first(rows)
        ]
        return json.dumps({"instances": instances}).encode()

    def body(self, rows: int, media_type: str) -> bytes:
        """Write a request for the first `rows` rows, in CSV with a header."""
        instances = self._first(rows)
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


def fit(folder: Path, titles: Collection[str] = ()) -> dict[str, Model]:
    """Fit the models and write their directories, one a subfolder of `folder`.

    Parameters
    ----------
    folder : Path
    titles : collection of str, optional
        Of the models; all by default.

    Returns
    -------
    dict of str to Model
        By title.
    """
    wanted = titles or (BOOSTING, FOREST, LINEAR, HISTOGRAM, COLUMNS, TEXTS)
    others = {COLUMNS: _of_columns, TEXTS: _of_texts}
    dataset = _dataset()
    return {
        title: others[title](folder) if title in others else _of_numbers(title, dataset, folder)
        for title in wanted
    }


def _of_numbers(title: str, dataset: Dataset, folder: Path) -> Model:
    estimators: dict[str, Any] = {
        BOOSTING: GradientBoostingRegressor(n_estimators=200, random_state=0),
        FOREST: RandomForestRegressor(n_estimators=100, random_state=0),
        LINEAR: make_pipeline(StandardScaler(), RidgeCV()),
        HISTOGRAM: HistGradientBoostingRegressor(random_state=0),
    }
    estimator = estimators[title].fit(dataset.inputs, dataset.y)
    packaged = package(estimator, dataset, title.split(maxsplit=1)[0])
    return _written(packaged, folder, dataset.X.tolist(), estimator.predict(dataset.X))


def _of_columns(folder: Path) -> Model:
    homes, price = _homes()
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    columns = make_column_transformer(
        (numbers, ["area", "age"]), (OneHotEncoder(handle_unknown="ignore"), ["kind", "heating"])
    )
    estimator = make_pipeline(columns, Ridge()).fit(homes, price)
    rows = json.loads(homes.to_json(orient="records"))
    return _written(pack(estimator, homes, "columns"), folder, rows, estimator.predict(homes))


def _of_texts(folder: Path) -> Model:
    homes, price = _homes()
    told = [
        f"A {age} {kind}, heated by {heating}"
        for age, kind, heating in zip(homes.age, homes.kind, homes.heating, strict=True)
    ]
    estimator = make_pipeline(TfidfVectorizer(), Ridge()).fit(told, price)
    packed = pack(estimator, pd.DataFrame({"text": told}), "texts")
    return _written(packed, folder, told, estimator.predict(told))


def _written(packaged: Package, folder: Path, rows: list[Any], y: npt.NDArray[np.float64]) -> Model:
    """Write a model's directory."""
    manifest = packaged.manifest
    directory = folder / manifest.name / manifest.name
    model_directory.write(directory, manifest, packaged.files)
    features = tuple(feature.name for feature in manifest.features)
    return Model(manifest.name, directory, rows, y, features, manifest.tolerance)


def _homes() -> tuple[pd.DataFrame, npt.NDArray[np.float64]]:
    """Return made-up homes and what they cost."""
    rng = np.random.default_rng(0)
    homes = pd.DataFrame(
        {
            "area": rng.uniform(20, 200, _HOMES).round(1),
            "age": rng.uniform(0, 100, _HOMES).round(1),
            "kind": rng.choice(["flat", "house", "barn", "boat"], _HOMES),
            "heating": rng.choice(["gas", "oil", "district", "pump", "none"], _HOMES),
        }
    )
    price = homes.area * 3000 - homes.age * 500 + 50_000 * (homes.kind == "house")
    homes.loc[3::5, "age"] = np.nan
    return homes, price.to_numpy()


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
