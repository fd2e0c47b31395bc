"""Cross-validation: every candidate on the same folds, beside the baseline."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import clone
from sklearn.model_selection import RepeatedKFold, RepeatedStratifiedKFold

from training import scores
from training.candidates import Candidate, baseline, candidates
from training.dataset import Dataset
from training.errors import TrainingError
from training.progress import Progress
from training.scores import Scores
from training.settings import Settings

FOLDS = 5
REPEATS = 3

Split = tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]


@dataclass(frozen=True)
class Result:
    """What cross-validation found about one candidate.

    Attributes
    ----------
    candidate : Candidate
    scores : dict of str to ndarray of shape (FOLDS * REPEATS,)
    predictions : ndarray of shape (n_rows,)
        Out-of-fold predictions of the first repeat: one a row, by a model that did not see it.
    """

    candidate: Candidate
    scores: Scores
    predictions: npt.NDArray[Any]

    def mean(self, score: str) -> float:
        """Return a score's mean over the folds."""
        return float(self.scores[score].mean())


@dataclass(frozen=True)
class Comparison:
    """All results, best first, the one that was chosen and why."""

    results: tuple[Result, ...]
    baseline: Result
    chosen: Result
    reason: str


def compare(dataset: Dataset, settings: Settings, progress: Progress) -> Comparison:
    """Cross-validate every candidate and choose the one with the lowest mean deciding score.

    Where the target can only rise with a feature, only candidates that keep to it are eligible.

    Raises
    ------
    TrainingError
        If the settings leave no candidate that could be chosen.
    """
    competing = [*candidates(dataset, settings), baseline(dataset)]
    if dataset.rising and not any(candidate.keeps_direction for candidate in competing):
        raise TrainingError(
            f"candidates: none of {', '.join(settings.candidates)} can be kept from falling as "
            f"{' or '.join(dataset.rising)} rises; add forest"
        )
    kind = RepeatedKFold if dataset.task == "regression" else RepeatedStratifiedKFold
    folds = kind(n_splits=FOLDS, n_repeats=REPEATS, random_state=settings.seed)
    splits = list(folds.split(dataset.X, dataset.y))
    found = []
    for done, candidate in enumerate(competing):
        progress(f"comparing: {candidate.name}", done, len(competing))
        found.append(_validate(candidate, dataset, splits))
    *results, floor = found
    deciding = scores.DECIDING[dataset.task]
    results.sort(key=lambda result: result.mean(deciding))
    chosen = next(
        result for result in results if result.candidate.keeps_direction or not dataset.rising
    )
    reason = f"the lowest mean {deciding} over {FOLDS} folds, {REPEATS} times"
    if dataset.rising:
        reason += f", of those that can't fall as {' or '.join(dataset.rising)} rises"
    return Comparison(tuple(results), floor, chosen, reason)


def _validate(candidate: Candidate, dataset: Dataset, splits: Sequence[Split]) -> Result:
    inputs = dataset.inputs
    predictions = np.empty_like(dataset.y)
    found = []
    for number, (fit, test) in enumerate(splits):
        model = clone(candidate.estimator).fit(_rows(inputs, fit), dataset.y[fit])
        tested = _rows(inputs, test)
        if number < FOLDS:
            predictions[test] = model.predict(tested)
        found.append(scores.score(model, tested, dataset.y[test]))
    return Result(
        candidate,
        {name: np.array([each[name] for each in found]) for name in found[0]},
        predictions,
    )


def _rows(inputs: Any, index: npt.NDArray[np.intp]) -> Any:
    return inputs.iloc[index] if hasattr(inputs, "iloc") else inputs[index]
