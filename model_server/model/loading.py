"""From a model directory to a runtime that answers as its manifest says."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from model_server.errors import BadRequest, ModelDirectoryError, first_line
from model_server.model import onnx_graph
from model_server.model.directory import MANIFEST, ONNX, ModelDirectory
from model_server.model.estimator_runtime import EstimatorRuntime, load_estimator
from model_server.model.manifest import PREDICTION, Output, Tolerance
from model_server.model.onnx_runtime import OnnxRuntime
from model_server.model.runtime import EstimatorLoader, Runtime
from model_server.model.signature import Signature

_OF_OTHERS = Tolerance(absolute=1e-6, relative=1e-6)
"""Of what a model gives beside its predictions."""


def kind(directory: ModelDirectory) -> type[OnnxRuntime | EstimatorRuntime]:
    """Return what answers from a model directory, without loading it."""
    return OnnxRuntime if directory.model_file == ONNX else EstimatorRuntime


def load(
    directory: ModelDirectory,
    load_estimator: EstimatorLoader = load_estimator,
) -> Runtime:
    """Make the runtime of a checked model directory and see that its golden rows come out.

    Parameters
    ----------
    directory : ModelDirectory
    load_estimator : callable, optional
        What loads an estimator; by default it comes into this process.

    Raises
    ------
    ModelDirectoryError
        If the file can't be loaded, was made by another version of scikit-learn, or a golden row
        does not fit or comes out differently.
    """
    try:
        signature = Signature(directory.manifest)
    except BadRequest as error:
        raise ModelDirectoryError(
            directory.path,
            MANIFEST,
            f"its golden rows are none of the model's ({error})",
            "train the model again",
        ) from error
    outputs = tuple(signature.outputs.values())
    if kind(directory) is OnnxRuntime:
        runtime: Runtime = _load_graph(directory, outputs)
    else:
        runtime = load_estimator(directory, outputs)
    check_golden(directory, signature, runtime)
    return runtime


def _load_graph(directory: ModelDirectory, outputs: Sequence[Output]) -> OnnxRuntime:
    try:
        if not onnx_graph.is_whole(directory.model):
            raise ModelDirectoryError(
                directory.path,
                ONNX,
                "has data in other files, which no digest covers",
                "save the graph with all its data inside",
            )
        return OnnxRuntime(directory.model, directory.manifest.features, outputs)
    except ModelDirectoryError:
        raise
    except Exception as error:
        raise ModelDirectoryError(
            directory.path,
            ONNX,
            f"ONNX Runtime can't load it ({first_line(error)})",
            "train the model again",
        ) from error


def check_golden(directory: ModelDirectory, signature: Signature, runtime: Runtime) -> None:
    """See that every golden row comes out as the manifest says.

    Raises
    ------
    ModelDirectoryError
    """
    try:
        answers = runtime.answer(signature.golden_X, tuple(signature.golden))
    except Exception as error:
        raise ModelDirectoryError(
            directory.path,
            directory.model_file,
            f"{runtime.name} can't predict the golden rows ({first_line(error)})",
            "train the model again",
        ) from error
    for name, expected in signature.golden.items():
        tolerance = directory.manifest.tolerance if name == PREDICTION else _OF_OTHERS
        for row, (actual, right) in enumerate(zip(answers[name], expected, strict=True), start=1):
            if not agree(np.asarray(actual), np.asarray(right), tolerance):
                what = "" if name == PREDICTION else f" in its {name}"
                raise ModelDirectoryError(
                    directory.path,
                    directory.model_file,
                    f"golden row {row} comes out as {actual}, not {right}{what}",
                    "train the model again with the libraries that serve it",
                )


def agree(actual: npt.NDArray[Any], expected: npt.NDArray[Any], tolerance: Tolerance) -> bool:
    """Tell whether every value is within the tolerance of the expected one."""
    if not np.issubdtype(expected.dtype, np.floating):
        return bool(np.array_equal(actual, expected))
    close = np.allclose(
        actual, expected, rtol=tolerance.relative, atol=tolerance.absolute, equal_nan=True
    )
    return bool(close)
