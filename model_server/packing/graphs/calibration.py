"""Isotonic regression, and classifiers whose probabilities are calibrated."""

from typing import Any

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.isotonic import IsotonicRegression

from model_server.packing.graphs.intervals import interpolated
from model_server.packing.graphs.operators import Conversion, Operators
from model_server.packing.graphs.responses import responses


def _isotonic(graph: Operators) -> None:
    """Convert isotonic regression."""
    graph.add("Identity", _steps(graph, graph.estimator, graph.doubles()), out=graph.outputs[0])


def _steps(graph: Operators, fitted: IsotonicRegression, x: str) -> str:
    """Add what isotonic regression says, of shape (n_rows, 1)."""
    if fitted.out_of_bounds == "raise":
        raise NotImplementedError("isotonic regression with an error beyond what was seen")
    knots, values = fitted.X_thresholds_, fitted.y_thresholds_
    if knots.dtype != np.float64:
        raise NotImplementedError(f"isotonic regression in {knots.dtype}")
    y = interpolated(graph, x, [knots], [values])
    if fitted.out_of_bounds == "clip" or len(knots) == 1:
        return y
    below, above = graph.add("Less", x, knots[0]), graph.add("Greater", x, knots[-1])
    return graph.add("Where", graph.add("Or", below, above), np.nan, y)


def _calibrated(graph: Operators) -> None:
    """Convert the mean of calibrated classifiers."""
    members = graph.estimator.calibrated_classifiers_
    total = graph.total([_probabilities(graph, member) for member in members])
    mean = graph.add("Div", total, float(len(members)), out=graph.outputs[1])
    graph.label(graph.first_largest(mean))


def _probabilities(graph: Operators, member: Any) -> str:
    """Add those of one calibrated classifier."""
    _, scores = responses(graph, member.estimator)
    if member.method == "temperature":
        return _tempered(graph, member, scores)
    n_classes = len(member.classes)
    columns = [
        _curve(graph, calibrator, graph.add("Gather", scores, [at], axis=1))
        for at, calibrator in enumerate(member.calibrators)
    ]
    if n_classes == 2:
        [second] = columns
        joined = graph.add("Concat", graph.add("Sub", 1.0, second), second, axis=1)
    else:
        if not np.array_equal(member.estimator.classes_, member.classes):
            raise NotImplementedError("a calibrated classifier that has not seen every class")
        parts = graph.add("Concat", *columns, axis=1)
        total = graph.total(columns)
        nothing = graph.add("Equal", total, 0.0)
        joined = graph.add("Where", nothing, 1 / n_classes, graph.add("Div", parts, total))
    return graph.add("Min", joined, 1.0)


def _curve(graph: Operators, calibrator: Any, scores: str) -> str:
    """Add the probabilities of one class, of shape (n_rows, 1), not yet in proportion."""
    if isinstance(calibrator, IsotonicRegression):
        return _steps(graph, calibrator, scores)
    moved = graph.add("Add", graph.add("Mul", scores, float(calibrator.a_)), float(calibrator.b_))
    return graph.add("Sigmoid", graph.add("Neg", moved))


def _tempered(graph: Operators, member: Any, scores: str) -> str:
    """Add the probabilities of logits that are scaled."""
    two = len(member.classes) == 2
    if hasattr(member.estimator, "decision_function"):
        logits = graph.add("Concat", graph.add("Neg", scores), scores, axis=1) if two else scores
    else:
        if two:
            scores = graph.add("Concat", graph.add("Sub", 1.0, scores), scores, axis=1)
        logits = graph.add("Log", graph.add("Add", scores, 1e-12))
    [calibrator] = member.calibrators
    return graph.add("Softmax", graph.add("Mul", logits, float(calibrator.beta_)), axis=1)


BY_TYPE: dict[type, Conversion] = {
    CalibratedClassifierCV: _calibrated,
    IsotonicRegression: _isotonic,
}
"""What adds an estimator's operators, by its type."""
