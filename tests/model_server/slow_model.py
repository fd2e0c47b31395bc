"""Estimators that take as long, or go as wrong, as a test needs; and a model directory of one.

The server finds this module because its process is started in the root of the checkout.
"""

import re
import time
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, RegressorMixin

from model_server.model import directory as model_directory
from training.dataset import build
from training.package import package

Array = npt.NDArray[np.float64]


class Sleeper(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Sleep for as many seconds as the largest number says, and answer the numbers."""

    def fit(self, X: Array, y: Array) -> Self:  # noqa: ARG002 - scikit-learn's signature
        self.n_features_in_ = 1
        return self

    def predict(self, X: Any) -> Array:
        X = np.asarray(X, dtype=np.float64)
        time.sleep(max(X.max(), 0.0))
        return np.array(X[:, 0])


class Plodder(Sleeper):
    """Take a millisecond for each row."""

    def predict(self, X: Any) -> Array:
        time.sleep(0.001 * len(X))
        return np.asarray(X, dtype=np.float64)[:, 0]


class Holder(Sleeper):
    """Hold the interpreter's lock, for ever in effect, at a number above 100."""

    def predict(self, X: Any) -> Array:
        X = np.asarray(X, dtype=np.float64)
        if X.max() > 100:
            re.match("(a|aa)+$", "a" * 200 + "b")
        return np.array(X[:, 0])


class Rotting(Sleeper):
    """Answer nonsense once it was asked for a number above 100."""

    rotten = False

    def predict(self, X: Any) -> Array:
        X = np.asarray(X, dtype=np.float64)
        self.rotten = self.rotten or X.max() > 100
        return np.array(X[:, 0] + 1000 if self.rotten else X[:, 0])


def write(models: Path, estimator: Sleeper, name: str = "slow") -> None:
    """Make a model directory of an estimator, whose golden rows are numbers below a hundredth."""
    y = np.linspace(0, 0.01, 20)
    table = {"seconds": [f"{value}" for value in y], "y": [f"{value}" for value in y]}
    dataset = build(table, "y", ["seconds"])
    made = package(estimator.fit(dataset.X, dataset.y), dataset, name)
    model_directory.write(models / name, made.manifest, made.files)
