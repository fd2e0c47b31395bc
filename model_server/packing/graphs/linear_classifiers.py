"""Graphs of classifiers by values that are linear in the inputs."""

import numpy as np
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import (
    LogisticRegression,
    LogisticRegressionCV,
    Perceptron,
    RidgeClassifier,
    RidgeClassifierCV,
    SGDClassifier,
)
from sklearn.svm import LinearSVC

from model_server.packing.graphs.operators import Conversion, Operators
from model_server.packing.graphs.responses import responses


def _by_scores(graph: Operators) -> None:
    """Convert one that tells no probabilities."""
    estimator, n_classes = graph.estimator, len(graph.estimator.classes_)
    binarizer = getattr(estimator, "_label_binarizer", None)
    if binarizer is not None and binarizer.y_type_.startswith("multilabel"):
        raise NotImplementedError("several labels a row")
    _, scores = responses(graph, estimator)
    graph.label(graph.chosen(scores, n_classes))
    both = [graph.add("Neg", scores), scores] if n_classes == 2 else [scores]
    graph.add("Concat", *both, out=graph.outputs[1], axis=1)


def _logistic(graph: Operators) -> None:
    """Convert one whose probabilities are a logistic curve, or of more than two classes softmax."""
    n_classes = len(graph.estimator.classes_)
    _, scores = responses(graph, graph.estimator)
    graph.label(graph.chosen(scores, n_classes))
    if n_classes > 2:
        graph.add("Softmax", scores, out=graph.outputs[1], axis=1)
    else:
        _complete(graph, graph.add("Sigmoid", scores))


def _gradient_descent(graph: Operators) -> None:
    """Convert what has a curve for each class, of which the probabilities are shares."""
    estimator, n_classes = graph.estimator, len(graph.estimator.classes_)
    if estimator.loss not in {"log_loss", "modified_huber"}:
        _by_scores(graph)
        return
    _, scores = responses(graph, estimator)
    graph.label(graph.chosen(scores, n_classes))
    if estimator.loss == "log_loss":
        curve = graph.add("Sigmoid", scores)
    else:
        clipped = graph.add("Clip", scores, np.array(-1.0), np.array(1.0))
        curve = graph.add("Div", graph.add("Add", clipped, 1.0), 2.0)
    if n_classes == 2:
        _complete(graph, curve)
        return
    total = graph.add("ReduceSum", curve, [1], keepdims=1)
    nothing = graph.add("Equal", total, 0.0)
    shares = graph.add("Div", curve, graph.add("Where", nothing, 1.0, total))
    graph.add("Where", nothing, 1.0 / n_classes, shares, out=graph.outputs[1])


def _complete(graph: Operators, second: str) -> None:
    """Answer with the probabilities of two classes, given that of the second."""
    first = graph.add("Sub", 1.0, second)
    graph.add("Concat", first, second, out=graph.outputs[1], axis=1)


BY_TYPE: dict[type, Conversion] = {
    LinearDiscriminantAnalysis: _logistic,
    LinearSVC: _by_scores,
    LogisticRegression: _logistic,
    LogisticRegressionCV: _logistic,
    Perceptron: _by_scores,
    RidgeClassifier: _by_scores,
    RidgeClassifierCV: _by_scores,
    SGDClassifier: _gradient_descent,
}
"""What adds an estimator's operators, by its type."""
