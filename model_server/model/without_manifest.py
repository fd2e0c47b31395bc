"""A model without a manifest: a directory with an estimator and the names of its features.

::

    model/
    ├── model.joblib       the estimator
    └── features.json      the names of its features in their order: ``["RM"]``

Its digest is that of what ``sha256sum features.json model.joblib`` says, and so of both. Its
manifest is made up here. What is not known stays empty, and its only golden row is one of zeros
that it predicts when it is loaded: enough to see that it goes on answering, not that it is right.
"""

import dataclasses
import hashlib
from functools import partial
from pathlib import Path

import numpy as np
import orjson

from model_server.errors import ModelDirectoryError
from model_server.model import directory as model_directory
from model_server.model.directory import JOBLIB, MANIFEST, ModelDirectory
from model_server.model.manifest import (
    PREDICTION,
    Conversion,
    Feature,
    Golden,
    Manifest,
    Target,
)
from model_server.model.outputs import told, tried
from model_server.model.runtime import Estimator

FEATURES = "features.json"

_CURE = f'write the names of the features into {FEATURES} as a JSON list: ["RM"]'


def is_one(directory: Path) -> bool:
    """Tell whether a directory holds a model and no manifest."""
    holds = model_directory.holds
    return holds(directory, JOBLIB) and not holds(directory, MANIFEST)


def read(directory: Path) -> ModelDirectory:
    """Read such a directory; nothing is unpickled.

    Returns
    -------
    ModelDirectory
        Named ``model``; it has no golden row yet.

    Raises
    ------
    ModelDirectoryError
        If a file is missing, unreadable or not what it should be.
    """
    if not model_directory.holds(directory, FEATURES):
        raise ModelDirectoryError(directory, FEATURES, f"is missing, as is {MANIFEST}", _CURE)
    contents = {file: model_directory.read_bytes(directory, file) for file in (FEATURES, JOBLIB)}
    sums = {file: hashlib.sha256(content).hexdigest() for file, content in contents.items()}
    told = "".join(f"{digest}  {file}\n" for file, digest in sums.items())
    digest = hashlib.sha256(told.encode()).hexdigest()
    names = _names(directory, contents[FEATURES])
    manifest = Manifest(
        name="model",
        version=digest[:12],
        task="regression",
        estimator="",
        features=tuple(Feature(name=name) for name in names),
        target=Target(name="prediction"),
        rows=0,
        conversion=Conversion(converted=False, reason="a model without a manifest"),
        golden=Golden.model_construct(instances=(), predictions=()),
        libraries={},
        files=sums,
    )
    return ModelDirectory(directory, manifest, digest, JOBLIB, contents[JOBLIB])


def complete(found: ModelDirectory, runtime: Estimator) -> ModelDirectory:
    """Add what only the loaded estimator tells: its classes and a golden row.

    Raises
    ------
    ModelDirectoryError
        If it can't predict a row of zeros.
    """
    manifest = found.manifest
    X = np.zeros((1, len(manifest.features)))
    try:
        outputs, answers = tried(partial(runtime.answer, X), runtime.offered, runtime.classes)
        golden = Golden(
            instances=(tuple(X[0].tolist()),),
            predictions=told(answers.pop(PREDICTION)),
            outputs={name: told(values) for name, values in answers.items()},
        )
    except Exception as error:
        raise ModelDirectoryError(
            found.path,
            JOBLIB,
            f"can't predict a row of {len(manifest.features)} zeros ({error})".replace("\n", " "),
            f"see that {FEATURES} names its features, all of them numbers",
        ) from error
    several = any(isinstance(each, list) for each in runtime.classes)
    classes = () if several else tuple(runtime.classes)
    target = manifest.target.model_copy(update={"classes": classes})
    task = "classification" if runtime.classes else "regression"
    update = {"task": task, "target": target, "outputs": outputs, "golden": golden}
    return dataclasses.replace(found, manifest=manifest.model_copy(update=update))


def _names(directory: Path, text: bytes) -> list[str]:
    try:
        names = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ModelDirectoryError(directory, FEATURES, f"is not JSON ({error})", _CURE) from error
    if (
        not isinstance(names, list)
        or not names
        or not all(isinstance(name, str) and name for name in names)
        or len(set(names)) < len(names)
    ):
        raise ModelDirectoryError(directory, FEATURES, "is no list of different names", _CURE)
    return names
