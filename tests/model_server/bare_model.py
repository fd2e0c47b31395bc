"""Bare models: an estimator and the names of its features."""

from pathlib import Path
from typing import Any

import joblib
import numpy as np
from sklearn.linear_model import LinearRegression


def write(folder: Path, estimator: Any, features: str = '["RM"]') -> Path:
    folder.mkdir(parents=True)
    joblib.dump(estimator, folder / "model.joblib")
    (folder / "features.json").write_text(features)
    return folder


def line() -> LinearRegression:
    return LinearRegression().fit(np.array([[5.0], [7.0]]), [14_000.0, 30_000.0])
