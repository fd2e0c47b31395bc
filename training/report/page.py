"""The report: one HTML page on a model, for a person."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from sklearn.base import clone
from sklearn.metrics import confusion_matrix

from model_server.model.manifest import Interval, Manifest
from training.comparison import FOLDS, REPEATS, Comparison
from training.dataset import Dataset
from training.model_card import ModelCard
from training.report import plots
from training.report.learning_curve import learn
from training.report.number_format import number, quantity, tick
from training.report.partial_dependence import effect, effects, subject
from training.scores import DECIDING, NAMES


@dataclass(frozen=True)
class Evidence:
    """All that a report is made from.

    Attributes
    ----------
    dataset : Dataset
    card : ModelCard
    manifest : Manifest
    comparison : Comparison
    estimator : object
        The chosen candidate, fitted on every row.
    seed : int
    """

    dataset: Dataset
    card: ModelCard
    manifest: Manifest
    comparison: Comparison
    estimator: Any
    seed: int


def render(evidence: Evidence) -> bytes:
    """Return the page: UTF-8 HTML that loads nothing; the same bytes for the same evidence."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"quantity": quantity, "short": tick, "number": number}
    task = _regression if evidence.dataset.task == "regression" else _classification
    page = environment.get_template("report.html.j2").render(
        card=evidence.card,
        manifest=evidence.manifest,
        comparison=evidence.comparison,
        score=DECIDING[evidence.dataset.task],
        score_names=NAMES,
        folds=FOLDS,
        repeats=REPEATS,
        seed=evidence.seed,
        falls=_falls(evidence),
        learning=_learning(evidence),
        effects=_effects(evidence),
        compared=_compared(evidence),
        **task(evidence),
    )
    return page.encode()


def _regression(evidence: Evidence) -> dict[str, Any]:
    y, predicted = evidence.dataset.y, evidence.comparison.chosen.predictions
    unit = evidence.manifest.target.unit
    interval = evidence.manifest.target.interval
    assert interval is not None  # noqa: S101 - every regressor that is trained has one
    return {
        "interval": interval,
        "example": _example(evidence, interval),
        "capped": _capped(evidence),
        "fit_plots": [
            (
                "Predicted and actual",
                "Each row predicted by a model that had not seen it; dashed: both are equal.",
                plots.predicted_actual(y, predicted, unit, evidence.card.cap),
            ),
            (
                "What is left over",
                "Actual less predicted. Nine in ten rows lie in the band.",
                plots.residuals(y, predicted, interval, unit),
            ),
        ],
    }


def _classification(evidence: Evidence) -> dict[str, Any]:
    y, predicted = evidence.dataset.y, evidence.comparison.chosen.predictions
    classes = evidence.manifest.target.classes
    counts = confusion_matrix(y, predicted, labels=list(classes))
    return {
        "interval": None,
        "example": None,
        "capped": None,
        "fit_plots": [
            (
                "Which class was taken for which",
                "Each row predicted by a model that had not seen it; right on the diagonal.",
                plots.confusion(counts, classes),
            )
        ],
    }


def _deciding(evidence: Evidence) -> tuple[str, str]:
    score = DECIDING[evidence.dataset.task]
    return score, evidence.manifest.target.unit if score == "rmse" else ""


def _example(evidence: Evidence, interval: Interval) -> dict[str, float]:
    """Return the prediction for the row of medians, which is the second golden row."""
    [predicted] = np.asarray(evidence.manifest.golden.predictions[1:2], np.float64).tolist()
    return {
        "predicted": predicted,
        "lower": predicted + interval.lower,
        "upper": predicted + interval.upper,
    }


def _capped(evidence: Evidence) -> dict[str, float] | None:
    """Return how many rows are at the cap, and the out-of-fold RMSE with, without and of them.

    Nothing is returned where no row is there, or every one.
    """
    y = evidence.dataset.y
    at_cap = y >= (np.inf if evidence.card.cap is None else evidence.card.cap)
    if at_cap.all() or not at_cap.any():
        return None
    squares = (y - evidence.comparison.chosen.predictions) ** 2
    return {
        "rows": int(at_cap.sum()),
        "all": _root_mean(squares),
        "below": _root_mean(squares[~at_cap]),
        "at": _root_mean(squares[at_cap]),
    }


def _root_mean(squares: npt.NDArray[np.float64]) -> float:
    return float(np.sqrt(squares.mean()))


def _falls(evidence: Evidence) -> dict[str, float]:
    """Return how far each candidate's curve falls where the target can only rise."""
    dataset = evidence.dataset
    if not dataset.rising:
        return {}
    falls = {}
    for result in evidence.comparison.results:
        estimator = clone(result.candidate.estimator).fit(dataset.inputs, dataset.y)
        falls[result.candidate.name] = max(
            effect(estimator, dataset, index).largest_fall
            for index, feature in enumerate(dataset.features)
            if feature.name in dataset.rising
        )
    return falls


def _compared(evidence: Evidence) -> str:
    score, unit = _deciding(evidence)
    return plots.comparison(evidence.comparison, score, NAMES[score], unit)


def _learning(evidence: Evidence) -> dict[str, Any]:
    score, unit = _deciding(evidence)
    curve = learn(evidence.comparison.chosen.candidate, evidence.dataset, evidence.seed)
    return {
        "rows": int(curve.rows[-1]),
        "rows_before": int(curve.rows[-2]),
        "gain": float(1 - curve.tested[-1].mean() / curve.tested[-2].mean()),
        "svg": plots.learning(curve, NAMES[score], unit),
    }


def _effects(evidence: Evidence) -> dict[str, Any]:
    dataset = evidence.dataset
    found = effects(evidence.estimator, dataset)
    regression = dataset.task == "regression"
    unit = evidence.manifest.target.unit if regression else ""
    if regression and len(found) == 1 and found[0].feature.type == "number":
        svg = plots.curve(found[0], dataset.X[:, 0], dataset.y, unit)
        return {"curve": svg, "small": [], "subject": None}
    low = min(float(one.rows.min()) for one in found)
    high = max(float(one.rows.max()) for one in found)
    limits = (low - 0.05 * (high - low), high + 0.02 * (high - low))
    small = [
        (
            one.feature,
            float(np.ptp(one.mean)),
            plots.effect(one, dataset.X[:, index], limits, unit),
        )
        for index, one in enumerate(found)
    ]
    small.sort(key=lambda each: -each[1])
    return {"curve": None, "small": small, "subject": None if regression else subject(dataset)}
