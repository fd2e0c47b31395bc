"""The package of an estimator that was fitted on a data set."""

from dataclasses import replace
from typing import Any

import numpy as np

from model_server.model.columns import Matrix
from model_server.packing import package as packing
from model_server.packing.package import Described, Package
from model_server.packing.reading import Reading
from training.dataset import Dataset
from training.evaluation import Evaluation

_GOLDEN_ROWS_OF_DATA = 5


def package(
    estimator: Any,
    dataset: Dataset,
    name: str,
    description: str = "",
    evaluation: Evaluation | None = None,
) -> Package:
    """Package any fitted scikit-learn regressor or classifier.

    Parameters
    ----------
    estimator : object
        Fitted on ``dataset.inputs`` and ``dataset.y``, or on ``dataset.frame``.
    dataset : Dataset
    name, description : str
    evaluation : Evaluation, optional

    Returns
    -------
    Package
        The same bytes for the same estimator and data.
    """
    evaluation = evaluation or Evaluation()
    described = Described(
        name=name,
        task=dataset.task,
        target=dataset.target.model_copy(update={"interval": evaluation.interval}),
        rows=len(dataset.X),
        description=description,
        metrics=evaluation.metrics,
        digest=dataset.digest,
    )
    golden = replace(dataset, X=_golden_rows(dataset)).instances
    reading = Reading(dataset.features, None, dataset.instances)
    return packing.package(estimator, reading, golden, described)


def _golden_rows(dataset: Dataset) -> Matrix:
    """Return every feature's minimum, median and maximum, and rows spread over the target."""
    ordered = dataset.X[np.argsort(dataset.y, kind="stable")]
    spread = np.linspace(0, len(ordered) - 1, _GOLDEN_ROWS_OF_DATA).round().astype(np.intp)
    middle = np.median(dataset.X, axis=0)
    labels = [feature.type == "category" for feature in dataset.features]
    middle[labels] = np.floor(middle[labels])
    return np.vstack([dataset.X.min(axis=0), middle, dataset.X.max(axis=0), ordered[spread]])
