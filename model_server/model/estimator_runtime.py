"""A model as the scikit-learn estimator itself.

What it needs is imported only where there is one.
"""

import io
import warnings
from collections.abc import Sequence
from importlib import metadata
from typing import Any

import numpy as np

from model_server.errors import ModelDirectoryError, first_line
from model_server.model import containers
from model_server.model.columns import Instances, fields
from model_server.model.directory import JOBLIB, ModelDirectory
from model_server.model.manifest import Container, Feature, Output
from model_server.model.outputs import Answers, ask, offered
from model_server.model.precision import cast_feature
from model_server.model.runtime import Estimator


class EstimatorRuntime(Estimator):
    """A scikit-learn estimator.

    Parameters
    ----------
    estimator : object
        Fitted.
    features : sequence of Feature
    outputs : sequence of Output, optional
        What it is asked for; by default all that it offers, in the shapes that it has.
    container : str, optional
        What it was fitted on; by default what it tells.
    """

    name = "scikit-learn"
    concurrency = 1
    merges = False
    unpickles = True

    def __init__(
        self,
        estimator: Any,
        features: Sequence[Feature],
        outputs: Sequence[Output] | None = None,
        container: Container | None = None,
    ) -> None:
        self._estimator = estimator
        self._features = tuple(features)
        self._shapes = {output.name: output.shape for output in outputs or ()}
        self.offered = offered(estimator)
        if outputs is not None:
            self.offered = {output.name: output.method for output in outputs}
        self._container = container or containers.fitted_on(estimator, features)
        self.classes = list(np.asarray(getattr(estimator, "classes_", ())).tolist())

    def answer(self, X: Instances, names: Sequence[str]) -> Answers:
        """See `Runtime.answer`.

        Raises
        ------
        BadRequest
            If it can't read a number that is beyond float32, as trees can't.
        """
        inputs, answers = self.inputs(X), {}
        for name in names:
            try:
                values = ask(self._estimator, self.offered[name], inputs)
            except ValueError:
                self._check_float32(X)
                raise
            shape = self._shapes.get(name, values.shape[1:])
            answers[name] = values.reshape(len(X), *shape)
        return answers

    def _check_float32(self, X: Instances) -> None:
        for feature, column in zip(self._features, fields(X), strict=True):
            if column.dtype.kind == "f":
                cast_feature(column, np.float32, feature.name)

    def inputs(self, X: Instances) -> Any:
        """Return what the estimator is given for some rows."""
        return containers.contained(X, self._features, self._container)


def load_estimator(
    directory: ModelDirectory, outputs: Sequence[Output] | None = None
) -> EstimatorRuntime:
    """Make the runtime of an estimator, whatever its golden rows.

    Parameters
    ----------
    directory : ModelDirectory
    outputs : sequence of Output, optional
        What it is asked for; by default all that it offers.

    Raises
    ------
    ModelDirectoryError
        If it can't be unpickled, or was made by another version of scikit-learn.
    """
    trained = directory.manifest.libraries.get("scikit-learn", "")
    try:
        installed = metadata.version("scikit-learn")
    except metadata.PackageNotFoundError:
        raise ModelDirectoryError(
            directory.path,
            JOBLIB,
            "needs scikit-learn, which is not installed",
            f"install scikit-learn {trained}".rstrip(),
        ) from None
    if trained and trained != installed:
        raise ModelDirectoryError(
            directory.path,
            JOBLIB,
            f"made by scikit-learn {trained}, and {installed} is installed",
            "train the model again with the installed version or install the other",
        )
    import joblib

    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", "Trying to unpickle estimator")
            estimator = joblib.load(io.BytesIO(directory.model))
    except Exception as error:
        raise ModelDirectoryError(
            directory.path,
            JOBLIB,
            f"can't be unpickled ({first_line(error)})",
            "install the packages that the estimator needs or train the model again",
        ) from error
    manifest = directory.manifest
    return EstimatorRuntime(estimator, manifest.features, outputs, manifest.container)
