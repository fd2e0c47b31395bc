"""What other estimators take from a classifier: its decision values, or else probabilities."""

import copy
from typing import Any

import numpy as np
from onnx import TensorProto
from sklearn.linear_model._base import LinearClassifierMixin
from sklearn.pipeline import Pipeline

from model_server.packing.graphs.operators import Operators, within


def responses(graph: Operators, estimator: Any, X: str | None = None) -> tuple[str, str]:
    """Add a classifier on some inputs.

    Parameters
    ----------
    graph : Operators
    estimator : object
        A fitted classifier, or a pipeline with one at its end.
    X : str, optional
        By default the graph's own inputs.

    Returns
    -------
    labels : str
        Of shape (n_rows,).
    scores : str
        Doubles of shape (n_rows, n_classes); of two classes those of the second, (n_rows, 1).
    """
    estimator, X = _last(graph, estimator, X)
    n_classes = len(estimator.classes_)
    if isinstance(estimator, LinearClassifierMixin):
        rows = graph.doubles() if X is None else graph.cast(X, TensorProto.DOUBLE)
        product = graph.add("MatMul", rows, np.atleast_2d(estimator.coef_).T)
        scores = graph.add("Add", product, np.asarray(estimator.intercept_))
        place = graph.chosen(scores, n_classes)
        return graph.add("Gather", np.asarray(estimator.classes_), place, axis=0), scores
    if hasattr(estimator, "decision_function"):  # the options of a copy are its own
        labels, scores = graph.inner(copy.copy(estimator), X, raw_scores=True)
    else:
        labels, scores = graph.inner(estimator, X)
    scores = graph.cast(scores, TensorProto.DOUBLE)
    return labels, graph.add("Gather", scores, [1], axis=1) if n_classes == 2 else scores


def _last(graph: Operators, estimator: Any, X: str | None) -> tuple[Any, str | None]:
    """Add what stands before the classifier; return the classifier and its inputs."""
    estimator = within(estimator)
    while isinstance(estimator, Pipeline):
        if len(estimator) > 1:
            [X] = graph.inner(estimator[:-1], X)
            X = graph.cast(X, TensorProto.DOUBLE)
        estimator = within(estimator[-1])
    return estimator, X
