"""What computes the answers: ONNX Runtime, or the estimator itself.

Only the estimator needs scikit-learn, and only then is it imported.
"""

import io
import warnings
from collections.abc import Sequence
from importlib import metadata
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import onnxruntime

from model_server.artifact import JOBLIB, ONNX, Artifact
from model_server.columns import Columns, Matrix
from model_server.errors import ArtifactError, BadRequest
from model_server.manifest import Feature, Tolerance

_DTYPES = {"tensor(float)": np.float32, "tensor(double)": np.float64}


class Runtime(Protocol):
    """Something that predicts."""

    name: str

    def predict(self, X: Matrix) -> npt.NDArray[Any]:
        """Predict one value a row.

        Parameters
        ----------
        X : ndarray of shape (n_rows, n_features), float64
            As `Columns` makes it.

        Returns
        -------
        y : ndarray of shape (n_rows,)
            float64 for a regressor; the classes' own dtype for a classifier.
        """
        ...


class OnnxRuntime:
    """A graph in ONNX Runtime, on one thread.

    A graph reads either one matrix or one column a feature, each under the feature's name.

    Parameters
    ----------
    model : bytes
        A serialized ONNX model whose first output is the prediction.
    features : sequence of Feature
    """

    name = "onnxruntime"

    def __init__(self, model: bytes, features: Sequence[Feature]) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            model, options, providers=["CPUExecutionProvider"]
        )
        self._features = tuple(features)
        self._inputs = {node.name: node.type for node in self._session.get_inputs()}
        self._output = [self._session.get_outputs()[0].name]

    def predict(self, X: Matrix) -> npt.NDArray[Any]:
        """See `Runtime.predict`."""
        y = np.asarray(self._session.run(self._output, self._feed(X))[0]).reshape(len(X))
        return y.astype(np.float64) if y.dtype == np.float32 else y

    def _feed(self, X: Matrix) -> dict[str, npt.NDArray[Any]]:
        if list(self._inputs) != [feature.name for feature in self._features]:
            [(name, kind)] = self._inputs.items()
            return {name: _cast(X, _DTYPES[kind])}
        return {
            feature.name: _column(X, index, feature, _DTYPES.get(self._inputs[feature.name]))
            for index, feature in enumerate(self._features)
        }


class EstimatorRuntime:
    """A scikit-learn estimator.

    One that was fitted on a data frame, or reads texts, is given a data frame again.

    Parameters
    ----------
    estimator : object
        With a ``predict`` method.
    features : sequence of Feature
    """

    name = "scikit-learn"

    def __init__(self, estimator: Any, features: Sequence[Feature]) -> None:
        self._estimator = estimator
        self._features = tuple(features)
        self._by_name = hasattr(estimator, "feature_names_in_") or any(
            feature.type == "string" for feature in features
        )

    def predict(self, X: Matrix) -> npt.NDArray[Any]:
        """See `Runtime.predict`."""
        return np.asarray(self._estimator.predict(self._input(X))).reshape(len(X))

    @property
    def classes(self) -> list[Any]:
        """What a classifier tells apart, in its own order."""
        return list(np.asarray(getattr(self._estimator, "classes_", ())).tolist())

    def _input(self, X: Matrix) -> Any:
        if not self._by_name:
            return X
        import pandas as pd

        return pd.DataFrame(
            {
                feature.name: _column(X, index, feature, np.float64)[:, 0]
                for index, feature in enumerate(self._features)
            }
        )


def load(artifact: Artifact) -> Runtime:
    """Make the runtime of a checked model directory and see that its golden rows come out.

    Raises
    ------
    ArtifactError
        If the file can't be loaded, was made by another version of scikit-learn, or a golden row
        comes out differently.
    """
    runtime = _onnx(artifact) if artifact.model_file == ONNX else load_estimator(artifact)
    check_golden(artifact, runtime)
    return runtime


def check_golden(artifact: Artifact, runtime: Runtime) -> None:
    """See that every golden row comes out as the manifest says.

    Raises
    ------
    ArtifactError
    """
    golden = artifact.manifest.golden
    X = Columns(artifact.manifest.features).matrix(golden.instances)
    expected = np.array(golden.predictions)
    try:
        actual = runtime.predict(X)
    except Exception as error:
        raise ArtifactError(
            artifact.directory,
            artifact.model_file,
            f"{runtime.name} can't predict the golden rows ({_first_line(error)})",
            "train the model again",
        ) from error
    for row in range(len(expected)):
        if not agree(actual[[row]], expected[[row]], artifact.manifest.tolerance):
            raise ArtifactError(
                artifact.directory,
                artifact.model_file,
                f"golden row {row + 1} comes out as {actual[row]}, not {expected[row]}",
                "train the model again with the libraries that serve it",
            )


def agree(actual: npt.NDArray[Any], expected: npt.NDArray[Any], tolerance: Tolerance) -> bool:
    """Tell whether every prediction is within the tolerance of the expected one."""
    if not np.issubdtype(expected.dtype, np.floating):
        return bool(np.array_equal(actual, expected))
    return bool(np.allclose(actual, expected, rtol=tolerance.relative, atol=tolerance.absolute))


def _onnx(artifact: Artifact) -> OnnxRuntime:
    try:
        return OnnxRuntime(artifact.model, artifact.manifest.features)
    except Exception as error:
        raise ArtifactError(
            artifact.directory,
            ONNX,
            f"ONNX Runtime can't load it ({_first_line(error)})",
            "train the model again",
        ) from error


def load_estimator(artifact: Artifact) -> EstimatorRuntime:
    """Make the runtime of an estimator, whatever its golden rows.

    Raises
    ------
    ArtifactError
        If it can't be unpickled, or was made by another version of scikit-learn.
    """
    trained = artifact.manifest.libraries.get("scikit-learn", "")
    try:
        installed = metadata.version("scikit-learn")
    except metadata.PackageNotFoundError:
        raise ArtifactError(
            artifact.directory,
            JOBLIB,
            "needs scikit-learn, which is not installed",
            f"install scikit-learn {trained}".rstrip(),
        ) from None
    if trained and trained != installed:
        raise ArtifactError(
            artifact.directory,
            JOBLIB,
            f"made by scikit-learn {trained}, and {installed} is installed",
            "train the model again with the installed version or install the other",
        )
    import joblib

    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", "Trying to unpickle estimator")
            estimator = joblib.load(io.BytesIO(artifact.model))
    except Exception as error:
        raise ArtifactError(
            artifact.directory,
            JOBLIB,
            f"can't be unpickled ({_first_line(error)})",
            "install the packages that the estimator needs or train the model again",
        ) from error
    return EstimatorRuntime(estimator, artifact.manifest.features)


def _column(X: Matrix, index: int, feature: Feature, dtype: Any) -> npt.NDArray[Any]:
    column = X[:, index : index + 1]
    if feature.type == "string":
        return np.array(feature.categories, dtype=object)[column.astype(np.intp)]
    return _cast(column, dtype)


def _cast(X: Matrix, dtype: Any) -> npt.NDArray[Any]:
    with np.errstate(over="raise"):
        try:
            return X.astype(dtype, copy=False)
        except FloatingPointError:
            limit = np.finfo(dtype).max
            raise BadRequest(
                f"a number is larger than {limit:.2g}, the largest of {dtype.__name__}"
            ) from None


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:200]
