"""The learning curve: how the error goes with the number of rows learned from."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.base import clone
from sklearn.model_selection import KFold, StratifiedKFold, learning_curve

from training.candidates import Candidate
from training.comparison import FOLDS, Split
from training.dataset import Dataset
from training.scores import DECIDING

MINIMUM_ROWS = 10

_SCORERS = {"rmse": "neg_root_mean_squared_error", "log_loss": "neg_log_loss"}
_SHARES = np.array([0.1, 0.25, 0.5, 0.75, 1.0])


@dataclass(frozen=True)
class LearningCurve:
    """The deciding score over the number of rows.

    Attributes
    ----------
    rows : ndarray of shape (n_sizes,), int
    fitted, tested : ndarray of shape (n_sizes, FOLDS), float64
        On the rows fitted and on rows not seen.
    """

    rows: npt.NDArray[np.intp]
    fitted: npt.NDArray[np.float64]
    tested: npt.NDArray[np.float64]


def learn(candidate: Candidate, dataset: Dataset, seed: int) -> LearningCurve:
    """Fit a candidate on growing parts of the training folds."""
    splits = list(_splits(dataset, seed))
    most = min(len(fit) for fit, _ in splits)
    least = max(MINIMUM_ROWS, len(dataset.target.classes))
    rows, fitted, tested = learning_curve(
        clone(candidate.estimator),
        dataset.inputs,
        dataset.y,
        train_sizes=np.unique(np.clip((_SHARES * most).astype(np.intp), least, most)),
        cv=splits,
        scoring=_SCORERS[DECIDING[dataset.task]],
        error_score="raise",
    )[:3]
    return LearningCurve(rows, -fitted, -tested)


def _splits(dataset: Dataset, seed: int) -> Iterator[Split]:
    """Yield shuffled folds; the rows to fit start with one of each class and keep their shares."""
    classification = dataset.task == "classification"
    folds = (StratifiedKFold if classification else KFold)(FOLDS, shuffle=True, random_state=seed)
    rng = np.random.default_rng(seed)
    for fit, test in folds.split(dataset.X, dataset.y):
        shuffled = rng.permutation(fit)
        if classification:
            shuffled = shuffled[np.argsort(_places(dataset.y[shuffled]), kind="stable")]
        yield shuffled, test


def _places(labels: npt.NDArray[np.generic]) -> npt.NDArray[np.float64]:
    """Return for each row how far it comes in its class, from 0 to 1."""
    places = np.empty(len(labels))
    for label in np.unique(labels):
        of_label = labels == label
        places[of_label] = np.arange(of_label.sum()) / of_label.sum()
    return places
