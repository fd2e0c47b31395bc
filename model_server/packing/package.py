"""The package: what a fitted estimator becomes before it is written as a model directory."""

import hashlib
import io
import platform
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import joblib
import numpy as np
import numpy.typing as npt
from sklearn.pipeline import Pipeline

from model_server.model.columns import Columns, Instances
from model_server.model.directory import JOBLIB, ONNX
from model_server.model.estimator_runtime import EstimatorRuntime
from model_server.model.manifest import (
    PREDICTION,
    Feature,
    Golden,
    Manifest,
    Metric,
    Output,
    Surplus,
    Target,
    Task,
)
from model_server.model.outputs import told
from model_server.packing.conversion import Wanted, convert
from model_server.packing.graphs.trees import clear_padding
from model_server.packing.reading import Reading

_LIBRARIES = ("scikit-learn", "numpy", "joblib", "skl2onnx", "onnx", "onnxruntime")


@dataclass(frozen=True)
class Package:
    """A manifest and the files that belong beside it, for `model_server.model.directory.write`."""

    manifest: Manifest
    files: dict[str, bytes]


@dataclass(frozen=True)
class Described:
    """What a model is called and what is known of it.

    Attributes
    ----------
    name, description : str
    task : str
    target : Target
    rows : int
        Of the training, or of the sample that stands for it.
    metrics : dict of str to Metric
    digest : str
        Of what it was made from; with the estimator it makes the version.
    surplus : str
        See `Manifest`.
    """

    name: str
    task: Task
    target: Target
    rows: int
    description: str = ""
    metrics: dict[str, Metric] | None = None
    digest: str = ""
    surplus: Surplus = "refused"


def package(
    estimator: Any,
    reading: Reading,
    golden_X: Instances,
    described: Described,
    wanted: Wanted | None = None,
) -> Package:
    """Package a fitted estimator, with a graph where that gives the same answers.

    Parameters
    ----------
    estimator : object
    reading : Reading
        How it reads rows, with those that it is compared on.
    golden_X : ndarray of shape (n_golden, n_features) or (n_golden,)
        Those that are checked at every start.
    described : Described
    wanted : Wanted, optional
        Of its graph.

    Returns
    -------
    Package
        The same bytes for the same estimator and rows.
    """
    clear_padding(estimator)
    model = io.BytesIO()
    joblib.dump(estimator, model)
    features, container = reading.features, reading.container
    rows = np.concatenate([reading.X, golden_X])
    converted = convert(estimator, features, rows, container, wanted)
    files = {JOBLIB: model.getvalue()}
    if converted.graph is not None:
        files[ONNX] = converted.graph
    made_from = described.digest or "".join(each.model_dump_json() for each in features)
    version = hashlib.sha256(made_from.encode() + files[JOBLIB]).hexdigest()[:12]
    runtime = EstimatorRuntime(estimator, features, converted.outputs, container)
    manifest = Manifest(
        name=described.name,
        version=version,
        task=described.task,
        estimator=_estimator_name(estimator),
        description=described.description,
        features=converted.features,
        container=container,
        surplus=described.surplus,
        target=described.target,
        outputs=converted.outputs,
        rows=described.rows,
        metrics=described.metrics or {},
        tolerance=converted.tolerance,
        conversion=converted.conversion,
        golden=_golden(runtime, features, golden_X, converted.outputs),
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


def _is_finite(values: npt.NDArray[Any]) -> bool:
    return values.dtype.kind != "f" or bool(np.isfinite(values).all())


def _golden(
    runtime: EstimatorRuntime,
    features: tuple[Feature, ...],
    X: Instances,
    outputs: tuple[Output, ...],
) -> Golden:
    answers = runtime.answer(X, [output.name for output in outputs])
    return Golden(
        instances=tuple(Columns(features).written(X)),
        predictions=told(answers.pop(PREDICTION)),
        outputs={name: told(y) for name, y in answers.items() if _is_finite(y)},
    )
