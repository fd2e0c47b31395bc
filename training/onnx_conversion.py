"""Conversion to ONNX, kept only where ONNX Runtime gives the estimator's own answers."""

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
from skl2onnx import to_onnx
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, StringTensorType
from sklearn.base import is_classifier

from model_server.model.manifest import Conversion, Feature, Tolerance
from model_server.model.runtime import EstimatorRuntime, OnnxRuntime, agree
from training.boundary_rows import boundary_rows
from training.dataset import Dataset

_NUMBERS = {"float64": DoubleTensorType, "float32": FloatTensorType}
RELATIVE = 1e-6


def tolerance(dataset: Dataset) -> Tolerance:
    """Return how far the graph may be: 1e-6 of the prediction and of the target's range."""
    if dataset.task == "classification":
        return Tolerance()
    return Tolerance(relative=RELATIVE, absolute=RELATIVE * float(np.ptp(dataset.y)))


def convert(estimator: Any, dataset: Dataset) -> tuple[bytes | None, Conversion]:
    """Convert a fitted estimator, first in float64 and then in float32.

    Returns
    -------
    model : bytes or None
        The first graph that ONNX Runtime loads and that agrees with the estimator on every row of
        `training.boundary_rows`.
    conversion : Conversion
        What was compared, or why there is no graph.
    """
    X = boundary_rows(estimator, dataset)
    expected = EstimatorRuntime(estimator, dataset.features).predict(X)
    reasons = []
    for precision in _NUMBERS:
        try:
            model = _graph(estimator, dataset.features, precision)
            actual = OnnxRuntime(model, dataset.features).predict(X)
        except Exception as error:  # noqa: BLE001 - a converter may raise anything
            reasons.append(_first_line(error))
            continue
        if agree(actual, expected, tolerance(dataset)):
            return model, Conversion(
                converted=True,
                rows_compared=len(X),
                largest_difference=_largest_difference(actual, expected),
            )
        reasons.append(f"in {precision} {_disagreement(actual, expected, tolerance(dataset))}")
    reason = "; ".join(dict.fromkeys(reasons))
    return None, Conversion(converted=False, reason=reason, rows_compared=len(X))


def _graph(estimator: Any, features: tuple[Feature, ...], precision: str) -> bytes:
    number = _NUMBERS[precision]
    by_name = hasattr(estimator, "feature_names_in_")
    inputs = [
        (feature.name, (StringTensorType if feature.type == "string" else number)([None, 1]))
        for feature in features
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = to_onnx(
            estimator,
            name="model",
            initial_types=inputs if by_name else [("X", number([None, len(features)]))],
            options={"zipmap": False} if is_classifier(estimator) else None,
        )
    opsets = sorted(model.opset_import, key=lambda opset: str(opset.domain))
    del model.opset_import[:]
    model.opset_import.extend(opsets)  # the converter takes them from a set
    return bytes(model.SerializeToString(deterministic=True))


def _largest_difference(actual: npt.NDArray[Any], expected: npt.NDArray[Any]) -> float:
    if np.issubdtype(expected.dtype, np.floating):
        return float(np.abs(actual - expected).max())
    return 0.0


def _disagreement(actual: npt.NDArray[Any], expected: npt.NDArray[Any], allowed: Tolerance) -> str:
    differing = sum(
        not agree(actual[[row]], expected[[row]], allowed) for row in range(len(expected))
    )
    return f"{differing} of {len(expected)} predictions differ from the estimator's"


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:200]
