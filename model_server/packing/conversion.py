"""Conversion to ONNX, kept only where ONNX Runtime gives the estimator's own answers."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import is_classifier

from model_server.model.columns import Instances
from model_server.model.manifest import Container, Conversion, Feature, Tolerance
from model_server.model.runtime import EstimatorRuntime, OnnxRuntime, first_line
from model_server.packing.graph import NUMBERS, graph, unwrapped
from model_server.packing.probes import probes
from model_server.packing.tree_graphs import rounds_inputs

EXACT, CLOSE = 1e-9, 1e-6
"""Of a prediction, and of the range of all of them: for doubles, and where float32 is all."""


@dataclass(frozen=True)
class Converted:
    """What has become of a conversion.

    Attributes
    ----------
    graph : bytes or None
        A serialized ONNX model, if there is one that agrees.
    conversion : Conversion
        What was compared, or why there is no graph.
    tolerance : Tolerance
        Within which the graph agreed; 0 for labels.
    """

    graph: bytes | None
    conversion: Conversion
    tolerance: Tolerance


@dataclass(frozen=True)
class _Answers:
    """Predictions, and what stands behind labels: the classes' probabilities."""

    y: npt.NDArray[Any]
    probabilities: npt.NDArray[np.float64] | None

    def differ(self, expected: "_Answers", relative: float) -> npt.NDArray[np.bool_]:
        """Tell of each row whether it comes out otherwise."""
        if expected.y.dtype.kind == "f":
            allowed = relative * (np.abs(expected.y) + np.ptp(expected.y))
            cells = ~(np.abs(self.y - expected.y) <= allowed)
        else:
            cells = np.asarray(self.y != expected.y)
        differ: npt.NDArray[np.bool_] = cells.reshape(len(cells), -1).any(axis=1)
        if expected.probabilities is not None and self.probabilities is not None:
            off = ~(np.abs(self.probabilities - expected.probabilities) <= relative)
            differ |= off.any(axis=1)
        return differ

    def largest_difference(self, expected: "_Answers") -> float:
        """Return that of a number; 0 for labels."""
        return float(np.abs(self.y - expected.y).max()) if expected.y.dtype.kind == "f" else 0.0


def convert(
    estimator: Any,
    features: tuple[Feature, ...],
    X: Instances,
    container: Container | None = None,
) -> Converted:
    """Convert a fitted estimator, in the precision that it computes in if that can be.

    Parameters
    ----------
    estimator : object
        With a ``predict`` method.
    features : tuple of Feature
    X : ndarray of shape (n_rows, n_features) or (n_rows,)
        Rows that it answers, as `Columns` has them.
    container : str, optional
        What it was fitted on; by default what it tells.

    Returns
    -------
    Converted
        With the first graph that ONNX Runtime loads and that agrees on every row of
        `model_server.packing.probes`: labels are the same, and numbers and probabilities within
        `EXACT`, or else `CLOSE`.
    """
    X = probes(estimator, features, X)
    runtime = EstimatorRuntime(estimator, features, container=container)
    expected = _ask_estimator(estimator, runtime, X)
    close, reasons = None, []
    for precision in sorted(NUMBERS, reverse=not rounds_inputs(unwrapped(estimator))):
        try:
            model = graph(estimator, features, precision)
            actual = _ask_graph(model, features, X, expected.y.shape[1:])
        except Exception as error:  # noqa: BLE001 - a converter may raise anything
            reasons.append(" ".join(first_line(error).split()))
            continue
        if not actual.differ(expected, EXACT).any():
            return _converted(estimator, model, actual, expected, EXACT)
        n_differ = np.count_nonzero(actual.differ(expected, CLOSE))
        if not n_differ and close is None:
            close = _converted(estimator, model, actual, expected, CLOSE)
        reasons.append(
            f"in {precision} {n_differ} of {len(X)} predictions differ from the estimator's"
        )
    if close is not None:
        return close
    return Converted(
        None,
        Conversion(converted=False, reason="; ".join(dict.fromkeys(reasons)), rows_compared=len(X)),
        _tolerance(estimator, expected, CLOSE),
    )


def _converted(
    estimator: Any, model: bytes, actual: _Answers, expected: _Answers, relative: float
) -> Converted:
    conversion = Conversion(
        converted=True,
        rows_compared=len(expected.y),
        largest_difference=actual.largest_difference(expected),
    )
    return Converted(model, conversion, _tolerance(estimator, expected, relative))


def _tolerance(estimator: Any, expected: _Answers, relative: float) -> Tolerance:
    if is_classifier(estimator):
        return Tolerance()
    return Tolerance(relative=relative, absolute=relative * float(np.ptp(expected.y)))


def _ask_estimator(estimator: Any, runtime: EstimatorRuntime, X: Instances) -> _Answers:
    inputs = runtime.inputs(X)
    probabilities = None
    if hasattr(estimator, "predict_proba"):
        probabilities = estimator.predict_proba(inputs)
    if isinstance(probabilities, list):  # of several targets, which no graph tells
        probabilities = None
    return _Answers(np.asarray(estimator.predict(inputs)), probabilities)


def _ask_graph(
    model: bytes, features: tuple[Feature, ...], X: Instances, shape: tuple[int, ...]
) -> _Answers:
    runtime = OnnxRuntime(model, features, shape)
    return _Answers(runtime.predict(X), runtime.scores(X))
