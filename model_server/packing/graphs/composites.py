"""Estimators that are made of others: chains, and classes told apart by several classifiers."""

from typing import Any

import numpy as np
from onnx import TensorProto
from sklearn.base import is_classifier, is_regressor
from sklearn.ensemble import AdaBoostClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.multiclass import (
    OneVsOneClassifier,
    OneVsRestClassifier,
    OutputCodeClassifier,
    _ConstantPredictor,
)
from sklearn.multioutput import ClassifierChain, RegressorChain

from model_server.packing.graphs.operators import Conversion, Operators
from model_server.packing.graphs.pairs import ranked
from model_server.packing.graphs.responses import responses


def _frozen(graph: Operators) -> None:
    """Convert what is frozen as what it holds."""
    for inner, out in zip(graph.inner(graph.estimator.estimator), graph.outputs, strict=True):
        graph.add("Identity", inner, out=out)


def _column(graph: Operators, values: str) -> str:
    """Add values as doubles of shape (n_rows, 1)."""
    return graph.cast(graph.add("Reshape", values, [-1, 1]), TensorProto.DOUBLE)


def _in_order(graph: Operators, links: list[str]) -> str:
    """Add what a chain's links have said, each in its target's column."""
    places = np.argsort(graph.estimator.order_)
    return graph.add("Gather", graph.add("Concat", *links, axis=1), places, axis=1)


def _regressors(graph: Operators) -> None:
    """Convert a chain of regressors, which read what those before have predicted."""
    X, links = graph.doubles(), []
    for estimator in graph.estimator.estimators_:
        [y] = graph.inner(estimator, X)
        links.append(_column(graph, y))
        X = graph.add("Concat", X, links[-1], axis=1)
    graph.add("Identity", _in_order(graph, links), out=graph.outputs[0])


def _classifiers(graph: Operators) -> None:
    """Convert a chain of classifiers, which read labels or probabilities of those before."""
    method = graph.estimator.chain_method_
    if method not in {"predict", "predict_proba"}:
        raise NotImplementedError(f"a chain by {method}")
    X, labels, probabilities = graph.doubles(), [], []
    for estimator in graph.estimator.estimators_:
        label, probability = graph.inner(estimator, X)
        labels.append(_column(graph, label))
        both = graph.cast(probability, TensorProto.DOUBLE)
        probabilities.append(graph.add("Gather", both, [1], axis=1))
        X = graph.add("Concat", X, (labels if method == "predict" else probabilities)[-1], axis=1)
    graph.add("Identity", _in_order(graph, labels), out=graph.outputs[0])
    graph.add("Identity", _in_order(graph, probabilities), out=graph.outputs[1])


def _pairs(graph: Operators) -> None:
    """Convert classes that are told apart two by two."""
    estimator, n_classes = graph.estimator, len(graph.estimator.classes_)
    if estimator.pairwise_indices_ is not None:
        raise NotImplementedError("pairs of classes by a kernel of one's own")
    given = [responses(graph, each) for each in estimator.estimators_]
    second = graph.add("Concat", *(_column(graph, labels) for labels, _ in given), axis=1)
    confidences = graph.add("Concat", *(scores for _, scores in given), axis=1)
    ranks = ranked(graph, second, confidences, n_classes)
    graph.add("Identity", ranks, out=graph.outputs[1])
    limit = 0.0 if _decides(estimator.estimators_[0]) else 0.5
    scores = ranks if n_classes > 2 else graph.add("Gather", ranks, [1], axis=1)
    graph.label(graph.chosen(scores, n_classes, limit))


def _one_versus_rest(graph: Operators) -> None:
    """Convert classes that are told from all others, one by one."""
    estimator = graph.estimator
    if estimator.multilabel_:
        raise NotImplementedError("several labels a row")
    members, by_probability = estimator.estimators_, hasattr(estimator, "predict_proba")
    scores = graph.add("Concat", *(_score(graph, each) for each in members), axis=1)
    limit = 0.0 if _decides(members[0]) else 0.5
    graph.label(graph.chosen(scores, len(estimator.classes_), limit))
    if graph.wants("raw_scores") or not by_probability:
        both = [scores] if len(members) > 1 else [graph.add("Neg", scores), scores]
        graph.add("Concat", *both, out=graph.outputs[1], axis=1)
        return
    columns = [_probability(graph, each) for each in members]
    if len(members) == 1:
        columns = [graph.add("Sub", 1.0, columns[0]), *columns]
    total = graph.total(columns)
    nothing = graph.add("Equal", total, 0.0)
    whole = graph.add("Where", nothing, 1.0, total)
    graph.add("Div", graph.add("Concat", *columns, axis=1), whole, out=graph.outputs[1])


def _adaptive_boosting(graph: Operators) -> None:
    """Convert the weighted votes of classifiers, in which a class loses what others gain."""
    estimator, n_classes = graph.estimator, len(graph.estimator.classes_)
    if n_classes < 2:
        raise NotImplementedError("boosting of one class")
    votes = []
    for member, weight in zip(estimator.estimators_, estimator.estimator_weights_, strict=False):
        labels = graph.add("Unsqueeze", graph.inner(member)[0], [1])
        won = graph.add("Equal", labels, graph.classes)
        votes.append(graph.add("Where", won, weight, -1 / (n_classes - 1) * weight))
    scores = graph.add("Div", graph.total(votes), estimator.estimator_weights_.sum())
    logits = graph.add("Div", scores, n_classes - 1.0)
    if n_classes == 2:
        lost, won = (graph.add("Gather", scores, [at], axis=1) for at in (0, 1))
        scores = graph.add("Sub", won, lost)
        both = graph.add("Concat", graph.add("Neg", scores), scores, axis=1)
        logits = graph.add("Div", both, 2.0)
    graph.label(graph.chosen(scores, n_classes))
    if not graph.wants("raw_scores"):
        graph.add("Softmax", logits, out=graph.outputs[1], axis=1)
    else:
        graph.add("Identity", both if n_classes == 2 else scores, out=graph.outputs[1])


def _decides(estimator: Any) -> bool:
    """Tell whether a classifier has decision values."""
    return is_classifier(estimator) and hasattr(estimator, "decision_function")


def _probability(graph: Operators, estimator: Any) -> str:
    """Add that of the second of two classes, of shape (n_rows, 1)."""
    if isinstance(estimator, _ConstantPredictor):
        return graph.always(estimator.y_ * 1.0)
    both = graph.cast(graph.inner(estimator)[1], TensorProto.DOUBLE)
    return graph.add("Gather", both, [1], axis=1)


def _codes(graph: Operators) -> None:
    """Convert classes that have a code each, to which several classifiers' answers are near."""
    members = graph.estimator.estimators_
    if not all(_decides(each) or isinstance(each, _ConstantPredictor) for each in members):
        raise NotImplementedError("codes of what may be as near to one as to another")
    book = graph.estimator.code_book_
    bits = graph.add("Concat", *(_score(graph, each) for each in members), axis=1)
    products = graph.add("MatMul", bits, -2.0 * book.T)
    apart = graph.add("Add", products, (book**2).sum(axis=1))
    nearness = graph.add("Neg", apart, out=graph.outputs[1])
    graph.label(graph.first_largest(nearness))


def _score(graph: Operators, estimator: Any) -> str:
    """Add what one classifier says, of shape (n_rows, 1)."""
    if isinstance(estimator, _ConstantPredictor):
        return graph.always(estimator.y_ * 1.0)
    if is_regressor(estimator):
        [y] = graph.inner(estimator)
        return _column(graph, y)
    return responses(graph, estimator)[1]


BY_TYPE: dict[type, Conversion] = {
    AdaBoostClassifier: _adaptive_boosting,
    ClassifierChain: _classifiers,
    FrozenEstimator: _frozen,
    OneVsOneClassifier: _pairs,
    OneVsRestClassifier: _one_versus_rest,
    OutputCodeClassifier: _codes,
    RegressorChain: _regressors,
}
"""What adds an estimator's operators, by its type."""
