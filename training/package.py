"""The package: what a fitted estimator becomes before it is written as a model directory."""

import hashlib
import io
import platform
from dataclasses import dataclass, replace
from importlib import metadata
from typing import Any

import joblib
import numpy as np
from sklearn.pipeline import Pipeline

from model_server.model.columns import Columns, Instances, Matrix
from model_server.model.directory import JOBLIB, ONNX
from model_server.model.manifest import PREDICTION, Golden, Manifest, Output
from model_server.model.outputs import told
from model_server.model.runtime import EstimatorRuntime
from model_server.packing.conversion import convert
from model_server.packing.trees import clear_padding
from training.dataset import Dataset
from training.evaluation import Evaluation

_LIBRARIES = ("scikit-learn", "numpy", "joblib", "skl2onnx", "onnx", "onnxruntime")
_GOLDEN_ROWS_OF_DATA = 5


@dataclass(frozen=True)
class Package:
    """A manifest and the files that belong beside it, for `model_server.model.directory.write`."""

    manifest: Manifest
    files: dict[str, bytes]


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
    clear_padding(estimator)
    evaluation = evaluation or Evaluation()
    model = io.BytesIO()
    joblib.dump(estimator, model)
    golden = replace(dataset, X=_golden_rows(dataset)).instances
    converted = convert(estimator, dataset.features, np.concatenate([dataset.instances, golden]))
    files = {JOBLIB: model.getvalue()}
    if converted.graph is not None:
        files[ONNX] = converted.graph
    version = hashlib.sha256(dataset.digest.encode() + files[JOBLIB]).hexdigest()[:12]
    manifest = Manifest(
        name=name,
        version=version,
        task=dataset.task,
        estimator=_estimator_name(estimator),
        description=description,
        features=dataset.features,
        target=dataset.target.model_copy(update={"interval": evaluation.interval}),
        rows=len(dataset.X),
        metrics=evaluation.metrics,
        tolerance=converted.tolerance,
        conversion=converted.conversion,
        outputs=converted.outputs,
        golden=_golden(estimator, dataset, golden, converted.outputs),
        libraries={
            "python": platform.python_version(),
            **{library: metadata.version(library) for library in _LIBRARIES},
        },
        files={},
    )
    return Package(manifest, files)


def _estimator_name(estimator: Any) -> str:
    steps = (
        [step for _, step in estimator.steps] if isinstance(estimator, Pipeline) else [estimator]
    )
    return ", ".join(type(step).__name__ for step in steps)


def _golden(estimator: Any, dataset: Dataset, X: Instances, outputs: tuple[Output, ...]) -> Golden:
    runtime = EstimatorRuntime(estimator, dataset.features, outputs)
    answers = runtime.answer(X, [output.name for output in outputs])
    return Golden(
        instances=tuple(Columns(dataset.features).written(X)),
        predictions=told(answers.pop(PREDICTION)),
        outputs={name: told(values) for name, values in answers.items()},
    )


def _golden_rows(dataset: Dataset) -> Matrix:
    """Return every feature's minimum, median and maximum, and rows spread over the target."""
    ordered = dataset.X[np.argsort(dataset.y, kind="stable")]
    spread = np.linspace(0, len(ordered) - 1, _GOLDEN_ROWS_OF_DATA).round().astype(np.intp)
    middle = np.median(dataset.X, axis=0)
    strings = [feature.type == "category" for feature in dataset.features]
    middle[strings] = np.floor(middle[strings])
    return np.vstack([dataset.X.min(axis=0), middle, dataset.X.max(axis=0), ordered[spread]])
