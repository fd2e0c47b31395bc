"""The scores of a fitted estimator."""

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import is_classifier
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    f1_score,
    log_loss,
    mean_absolute_error,
    r2_score,
    root_mean_squared_error,
)

from training.dataset import Task

Scores = dict[str, npt.NDArray[np.float64]]

DECIDING: dict[Task, str] = {"regression": "rmse", "classification": "log_loss"}
"""The score that decides; the lower is the better."""

NAMES = {
    "mae": "MAE",
    "rmse": "RMSE",
    "r2": "R²",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "f1": "F1, macro",
    "log_loss": "log loss",
}
"""Every score, as people write it."""


def score(estimator: Any, inputs: Any, y: npt.NDArray[Any]) -> dict[str, float]:
    """Score a fitted estimator on rows it has not seen."""
    predicted = estimator.predict(inputs)
    if is_classifier(estimator):
        chances = estimator.predict_proba(inputs)
        return {
            "accuracy": accuracy_score(y, predicted),
            "balanced_accuracy": balanced_accuracy_score(y, predicted),
            "f1": f1_score(y, predicted, average="macro", zero_division=0),
            "log_loss": log_loss(y, chances, labels=list(estimator.classes_)),
        }
    return {
        "mae": mean_absolute_error(y, predicted),
        "rmse": root_mean_squared_error(y, predicted),
        "r2": r2_score(y, predicted),
    }
