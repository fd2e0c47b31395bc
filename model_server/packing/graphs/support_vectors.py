"""Support vector machines with kernels in doubles: ONNX's own operators for them are float32."""

from typing import Any

import numpy as np
from onnx import TensorProto
from sklearn.svm import SVC, SVR, NuSVC, NuSVR, OneClassSVM

from model_server.packing.graphs.kernels import Kernel, alikeness
from model_server.packing.graphs.operators import Conversion, Operators
from model_server.packing.graphs.pairs import coupled, pairs, ranked, votes
from model_server.packing.graphs.tree_ensemble import Floats


def _decisions(graph: Operators, weights: Floats) -> str:
    """Add what libsvm decides by, of shape (n_rows, n_decisions)."""
    estimator = graph.estimator
    if callable(estimator.kernel):
        raise NotImplementedError("a kernel of one's own")
    kernel = Kernel(estimator.kernel, estimator._gamma, estimator.degree, estimator.coef0)
    alike = alikeness(graph, _dense(estimator.support_vectors_), kernel)
    return graph.add("Add", graph.add("MatMul", alike, weights), estimator._intercept_)


def _dense(matrix: Any) -> Floats:
    """Return a matrix of an estimator that may have been fitted on a sparse one."""
    return np.asarray(matrix.toarray() if hasattr(matrix, "toarray") else matrix)


def _regression(graph: Operators) -> None:
    """Convert regression by support vectors."""
    decisions = _decisions(graph, _dense(graph.estimator._dual_coef_).T)
    graph.add("Identity", decisions, out=graph.outputs[0])


def _one_class(graph: Operators) -> None:
    """Convert what tells whether a row is like those seen."""
    decisions = _decisions(graph, _dense(graph.estimator._dual_coef_).T)
    inside = graph.whole(graph.add("Greater", decisions, 0.0))
    graph.add("Gather", [-1, 1], inside, out=graph.outputs[0], axis=0)
    graph.add("Identity", decisions, out=graph.outputs[1])


def _pair_weights(estimator: SVC) -> Floats:
    """Return the weight of each support vector for each pair of classes.

    Those of a class have one for each of the other classes, in their order.
    """
    of_class = np.repeat(np.arange(len(estimator.classes_)), estimator._n_support)
    weights, columns = _dense(estimator._dual_coef_), []
    for first, second in pairs(len(estimator.classes_)):
        ofs = of_class == first, of_class == second
        given = weights[second - 1], weights[first]
        columns.append(np.where(ofs[0], given[0], np.where(ofs[1], given[1], 0.0)))
    return np.column_stack(columns)


def _classification(graph: Operators) -> None:
    """Convert classes that are voted for by pairs."""
    estimator, n_classes = graph.estimator, len(graph.estimator.classes_)
    first = _decisions(graph, _pair_weights(estimator))
    second = graph.add("Neg", first)
    lost = graph.cast(graph.add("Not", graph.add("Greater", first, 0.0)), TensorProto.DOUBLE)
    scores = second
    if n_classes > 2:
        negative = graph.cast(graph.add("Less", first, 0.0), TensorProto.DOUBLE)
        scores = ranked(graph, negative, second, n_classes)
    ties_are_broken = estimator.break_ties and n_classes > 2
    won = scores if ties_are_broken else votes(graph, lost, n_classes)
    graph.label(graph.first_largest(won))
    if hasattr(estimator, "predict_proba") and not graph.wants("raw_scores"):
        slopes, offsets = -estimator._probA, -estimator._probB
        sure = graph.add("Sigmoid", graph.add("Add", graph.add("Mul", first, slopes), offsets))
        near = graph.add("Min", graph.add("Max", sure, 1e-7), 1 - 1e-7)
        graph.add("Identity", coupled(graph, near, n_classes), out=graph.outputs[1])
    elif n_classes == 2:
        graph.add("Concat", first, second, out=graph.outputs[1], axis=1)
    elif estimator.decision_function_shape == "ovr" or not graph.wants("raw_scores"):
        graph.add("Identity", scores, out=graph.outputs[1])
    else:
        raise NotImplementedError("decision values of pairs of classes")


BY_TYPE: dict[type, Conversion] = {
    SVC: _classification,
    NuSVC: _classification,
    SVR: _regression,
    NuSVR: _regression,
    OneClassSVM: _one_class,
}
"""What adds an estimator's operators, by its type."""
