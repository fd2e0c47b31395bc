"""Packing: from a fitted estimator and a sample of its rows to a package."""

import contextlib
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from pandas.api import types
from sklearn.base import is_classifier, is_clusterer, is_outlier_detector, is_regressor
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import FixedThresholdClassifier

from model_server.errors import first_line
from model_server.model.columns import Instances
from model_server.model.manifest import PREDICTION, Target, Task
from model_server.model.outputs import offered
from model_server.packing import features
from model_server.packing.conversion import CLOSE, Wanted
from model_server.packing.errors import NotPacked
from model_server.packing.overrides import Overrides
from model_server.packing.package import Described, Package, package
from model_server.packing.reading import Reading

if TYPE_CHECKING:
    import pandas as pd

_GOLDEN_ROWS = 8


def pack(
    estimator: Any,
    sample: "pd.DataFrame",
    name: str,
    overrides: Overrides | None = None,
    truth: "pd.DataFrame | None" = None,
) -> Package:
    """Pack a fitted estimator, for `model_server.model.directory.write`.

    Parameters
    ----------
    estimator : object
        Of scikit-learn, or with its methods.
    sample : DataFrame
        Rows as it gets them.
    name : str
    overrides : Overrides, optional
    truth : DataFrame, optional
        What is right for each of these rows: the name and the range of the target.

    Raises
    ------
    NotPacked
    """
    chosen = overrides or Overrides()
    if truth is not None and len(truth) != len(sample):
        raise NotPacked(
            f"the truth has {len(truth)} rows, and the sample {len(sample)}",
            "give one truth for each row",
        )
    for output in chosen.outputs:
        if output not in offered(estimator):
            raise NotPacked(
                f"the estimator gives no {output}", f"it offers {', '.join(offered(estimator))}"
            )
    if chosen.target.threshold is not None:
        estimator = _with_threshold(estimator, chosen.target.threshold)
    reading = features.find(estimator, sample, chosen)
    described = Described(
        name=name,
        task=_task(estimator),
        target=_target(estimator, truth, chosen),
        rows=len(sample),
        description=chosen.description,
        surplus=chosen.surplus,
    )
    golden = _golden(estimator, reading)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = Wanted(chosen.outputs, chosen.tolerance or CLOSE)
        return package(estimator, reading, golden, described, wanted)


def _with_threshold(estimator: Any, threshold: float) -> Any:
    """Return a classifier that predicts the second of two classes from a probability on."""
    classes = np.asarray(getattr(estimator, "classes_", ()))
    if classes.shape != (2,) or "probability" not in offered(estimator):
        raise NotPacked(
            "a threshold decides between two classes by their probabilities, which the estimator "
            "does not tell",
            "leave target.threshold out",
        )
    chosen = FixedThresholdClassifier(
        FrozenEstimator(estimator), threshold=threshold, response_method="predict_proba"
    )
    return chosen.fit(np.zeros((2, 1)), classes)


def _task(estimator: Any) -> Task:
    if offered(estimator)[PREDICTION] == "transform":
        return "transformation"
    if offered(estimator)[PREDICTION] == "score_samples":
        return "density"
    for task, is_one in _TASKS:
        with contextlib.suppress(Exception):  # another library's may have no tags
            if is_one(estimator):
                return task
    return "classification" if hasattr(estimator, "classes_") else "regression"


_TASKS: tuple[tuple[Task, Any], ...] = (
    ("classification", is_classifier),
    ("regression", is_regressor),
    ("clustering", is_clusterer),
    ("outlier detection", is_outlier_detector),
)


def _target(estimator: Any, truth: "pd.DataFrame | None", chosen: Overrides) -> Target:
    described: dict[str, Any] = chosen.target.model_dump()
    described["name"] = described["name"] or (
        "prediction" if truth is None else ", ".join(truth.columns)
    )
    classes = getattr(estimator, "classes_", ())
    if not any(isinstance(each, np.ndarray | list) for each in classes):
        described["classes"] = tuple(np.asarray(classes).tolist())
    if truth is not None and truth.shape[1] == 1 and not described.get("classes"):
        numbers = truth.iloc[:, 0]
        if types.is_numeric_dtype(numbers):
            described |= {
                "minimum": float(numbers.min()),
                "maximum": float(numbers.max()),
                "median": float(numbers.median()),
            }
    return Target(**described)


def _golden(estimator: Any, reading: Reading) -> Instances:
    """Return rows spread over what is predicted, each of which is answered alone.

    Raises
    ------
    NotPacked
        If the estimator answers no row alone, or none with a value that is finite.
    """
    y = reading.predict(estimator, reading.X)
    if not y.size:
        raise NotPacked(
            "the estimator answers a row with no value at all", "see what it was fitted on"
        )
    whole = np.ones(len(y), np.bool_)
    if y.dtype.kind == "f":
        whole = np.isfinite(y.reshape(len(y), -1)).all(axis=1)
    if not whole.any():
        raise NotPacked(
            "no row of the sample gets a finite number from the estimator",
            "give rows that it can answer",
        )
    places = np.flatnonzero(whole)
    if y.dtype != object:
        places = places[np.argsort(y.reshape(len(y), -1)[places, 0], kind="stable")]
    spread = np.linspace(0, len(places) - 1, min(_GOLDEN_ROWS, len(places))).round().astype(np.intp)
    golden = reading.X[np.unique(places[spread])]
    try:
        reading.predict(estimator, golden[:1])
    except Exception as error:
        raise NotPacked(
            f"the estimator can't answer one row alone ({first_line(error)})",
            "a request may have one row; fit an estimator that answers it",
        ) from error
    return golden
