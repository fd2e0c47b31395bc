"""A bare model: a directory with an estimator and the names of its features, and no manifest.

::

    model/
    ├── model.joblib       the estimator
    └── features.json      the names of its features in their order: ``["RM"]``

Its manifest is made up here. What is not known stays empty, and its only golden row is one of zeros
that it predicts when it is loaded: enough to see that it goes on answering, not that it is right.
"""

import dataclasses
import hashlib
from pathlib import Path

import numpy as np
import orjson

from model_server import artifact
from model_server.artifact import JOBLIB, MANIFEST, Artifact
from model_server.errors import ArtifactError
from model_server.manifest import Conversion, Feature, Golden, Manifest, Target
from model_server.runtime import EstimatorRuntime

FEATURES = "features.json"

_CURE = f'write the names of the features into {FEATURES} as a JSON list: ["RM"]'


def found(directory: Path) -> bool:
    """Tell whether a directory is a bare model, or would be one with a `FEATURES`."""
    return (directory / JOBLIB).exists() and not (directory / MANIFEST).exists()


def read(directory: Path) -> Artifact:
    """Read a bare model; nothing is unpickled.

    Returns
    -------
    Artifact
        Named ``model``; its digest is that of the estimator, and it has no golden row yet.

    Raises
    ------
    ArtifactError
        If a file is missing, unreadable or not what it should be.
    """
    names = _names(directory)
    model = artifact.read_bytes(directory, JOBLIB)
    digest = hashlib.sha256(model).hexdigest()
    manifest = Manifest(
        name="model",
        version=digest[:12],
        task="regression",
        estimator="",
        features=tuple(Feature(name=name) for name in names),
        target=Target(name="prediction"),
        rows=0,
        conversion=Conversion(converted=False, reason="a bare model"),
        golden=Golden(instances=(), predictions=()),
        libraries={},
        files={JOBLIB: digest},
    )
    return Artifact(directory, manifest, digest, JOBLIB, model)


def complete(bare: Artifact, runtime: EstimatorRuntime) -> Artifact:
    """Add what only the loaded estimator tells: its classes and a golden row.

    Raises
    ------
    ArtifactError
        If it can't predict a row of zeros.
    """
    manifest = bare.manifest
    X = np.zeros((1, len(manifest.features)))
    try:
        y = runtime.predict(X)
    except Exception as error:
        raise ArtifactError(
            bare.directory,
            JOBLIB,
            f"can't predict a row of {len(manifest.features)} zeros ({error})".replace("\n", " "),
            f"see that {FEATURES} names its features, all of them numbers",
        ) from error
    classes = tuple(runtime.classes)
    described = {
        "task": "classification" if classes else "regression",
        "target": manifest.target.model_copy(update={"classes": classes}),
        "golden": Golden(instances=(tuple(X[0].tolist()),), predictions=tuple(y.tolist())),
    }
    return dataclasses.replace(bare, manifest=manifest.model_copy(update=described))


def _names(directory: Path) -> list[str]:
    if not (directory / FEATURES).exists():
        raise ArtifactError(directory, FEATURES, f"is missing, as is {MANIFEST}", _CURE)
    try:
        names = orjson.loads(artifact.read_bytes(directory, FEATURES))
    except orjson.JSONDecodeError as error:
        raise ArtifactError(directory, FEATURES, f"is not JSON ({error})", _CURE) from error
    if (
        not isinstance(names, list)
        or not names
        or not all(isinstance(name, str) and name for name in names)
        or len(set(names)) < len(names)
    ):
        raise ArtifactError(directory, FEATURES, "is no list of different names", _CURE)
    return names
