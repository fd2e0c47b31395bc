"""Graphs of naive Bayes for counts, whose classes' log-likelihoods are linear in the inputs."""

import numpy as np
from onnx import TensorProto
from sklearn.naive_bayes import BernoulliNB, ComplementNB, MultinomialNB

from model_server.packing.graphs.operators import Conversion, Operators
from model_server.packing.graphs.tree_ensemble import Floats


def _answer(graph: Operators, X: str, weights: Floats, offset: Floats) -> None:
    """Answer with the likeliest class and its probability.

    Parameters
    ----------
    graph : Operators
    X : str
        Of shape (n_rows, n_features).
    weights : ndarray of shape (n_classes, n_features)
    offset : ndarray of shape (n_classes,)
    """
    likelihood = graph.add("Add", graph.add("MatMul", X, weights.T), offset)
    graph.label(graph.first_largest(likelihood))
    graph.add("Softmax", likelihood, out=graph.outputs[1], axis=1)


def _multinomial(graph: Operators) -> None:
    estimator = graph.estimator
    _answer(graph, graph.doubles(), estimator.feature_log_prob_, estimator.class_log_prior_)


def _complement(graph: Operators) -> None:
    estimator = graph.estimator
    prior = estimator.class_log_prior_ * (len(estimator.classes_) == 1)
    _answer(graph, graph.doubles(), estimator.feature_log_prob_, prior)


def _bernoulli(graph: Operators) -> None:
    estimator, X = graph.estimator, graph.doubles()
    if estimator.binarize is not None:
        reached = graph.add("Greater", X, float(estimator.binarize))
        X = graph.cast(reached, TensorProto.DOUBLE)
    present = estimator.feature_log_prob_
    absent = np.log(1 - np.exp(present))
    offset = estimator.class_log_prior_ + absent.sum(axis=1)
    _answer(graph, X, present - absent, offset)


BY_TYPE: dict[type, Conversion] = {
    BernoulliNB: _bernoulli,
    ComplementNB: _complement,
    MultinomialNB: _multinomial,
}
"""What adds an estimator's operators, by its type."""
