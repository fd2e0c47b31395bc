"""What cross-validation says about the model that was chosen."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from model_server.model.manifest import Interval, Metric
from training.comparison import Comparison
from training.dataset import Dataset

COVERAGE = 0.9


@dataclass(frozen=True)
class Evaluation:
    """How good a model is, as the manifest says it."""

    metrics: dict[str, Metric] = field(default_factory=dict)
    interval: Interval | None = None


def evaluate(dataset: Dataset, comparison: Comparison) -> Evaluation:
    """Return each score of the chosen candidate over the folds, and the interval of a regressor."""
    chosen, floor = comparison.chosen, comparison.baseline
    metrics = {
        name: Metric(
            mean=float(values.mean()), std=float(values.std(ddof=1)), baseline=floor.mean(name)
        )
        for name, values in chosen.scores.items()
    }
    if dataset.task == "classification":
        return Evaluation(metrics)
    return Evaluation(metrics, interval(dataset.y - chosen.predictions))


def interval(residuals: npt.NDArray[np.float64]) -> Interval:
    """Return where the truth lies around a prediction, from out-of-fold residuals.

    The offsets are the residuals of rank ``floor((n + 1) * 0.05)`` and ``ceil((n + 1) * 0.95)``,
    the finite-sample quantiles of split-conformal prediction (Lei et al. 2018, "Distribution-free
    predictive inference for regression"), taken over cross-validation as in Vovk (2015),
    "Cross-conformal predictors", and Barber et al. (2021), "Predictive inference with the
    jackknife+". It is one width for every row, and assumes rows like those trained on.

    Parameters
    ----------
    residuals : ndarray of shape (n_rows,), float64
        Truth less prediction, of at least 19 rows.
    """
    ordered = np.sort(residuals)
    tail = (1 - COVERAGE) / 2
    low = int(np.floor(round((len(ordered) + 1) * tail, 9)))
    high = int(np.ceil(round((len(ordered) + 1) * (1 - tail), 9)))
    return Interval(
        coverage=COVERAGE, lower=float(ordered[low - 1]), upper=float(ordered[high - 1])
    )
