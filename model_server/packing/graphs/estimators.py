"""Graphs of estimators that skl2onnx has no converter for, or one that answers otherwise."""

from typing import Any

import numpy as np
from onnx import TensorProto
from sklearn.compose import TransformedTargetRegressor
from sklearn.cross_decomposition import CCA, PLSCanonical
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.kernel_ridge import KernelRidge
from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.semi_supervised import LabelPropagation, LabelSpreading

from model_server.packing.graphs.kernels import Kernel, alikeness
from model_server.packing.graphs.operators import Conversion, Operators


def _dummy_regressor(graph: Operators) -> None:
    constant = np.ravel(graph.estimator.constant_)
    graph.add("Identity", graph.always(constant), out=graph.outputs[0])


def _dummy_classifier(graph: Operators) -> None:
    estimator = graph.estimator
    row = np.zeros((1, 1))
    if estimator.strategy in {"stratified", "uniform"}:
        raise NotImplementedError(f"a strategy that is {estimator.strategy}, at random")
    probabilities = graph.always(estimator.predict_proba(row)[0])
    graph.add("Identity", probabilities, out=graph.outputs[1])
    graph.label(graph.first_largest(probabilities))


def _linear(graph: Operators) -> None:
    """Convert what centres its inputs and is linear in them."""
    estimator = graph.estimator
    centred = graph.add("Sub", graph.doubles(), graph.constant(estimator._x_mean))
    product = graph.add("MatMul", centred, graph.constant(estimator.coef_.T))
    graph.add("Add", product, graph.constant(estimator.intercept_), out=graph.outputs[0])


def _kernel_ridge(graph: Operators) -> None:
    estimator = graph.estimator
    kernel = Kernel(estimator.kernel, estimator.gamma, estimator.degree, estimator.coef0)
    alike = alikeness(graph, estimator.X_fit_, kernel)
    weights = estimator.dual_coef_.reshape(len(estimator.X_fit_), -1)
    graph.add("MatMul", alike, weights, out=graph.outputs[0])


def _label_propagation(graph: Operators) -> None:
    estimator = graph.estimator
    alike = alikeness(graph, estimator.X_, Kernel(estimator.kernel, estimator.gamma))
    weights = graph.add("MatMul", alike, estimator.label_distributions_)
    total = graph.add("ReduceSum", weights, [1], keepdims=1)
    graph.label(graph.first_largest(graph.add("Div", weights, total, out=graph.outputs[1])))


def _threshold(graph: Operators) -> None:
    """Convert a classifier of two classes that are parted by a probability."""
    wrapper = graph.estimator
    inner = getattr(wrapper, "estimator_", wrapper.estimator)
    if not hasattr(inner, "predict_proba") or wrapper.response_method == "decision_function":
        raise NotImplementedError("a threshold for decision values")
    tuned = isinstance(wrapper, TunedThresholdClassifierCV)
    threshold = wrapper.best_threshold_ if tuned else wrapper.threshold
    _, probabilities = graph.inner(inner)
    classes = list(wrapper.classes_)
    positive = getattr(wrapper, "pos_label", None)
    place = 1 if positive is None else classes.index(positive)
    chosen = graph.add("Gather", probabilities, graph.constant(np.array(place)), axis=1)
    limit = graph.constant(np.array(0.5 if threshold == "auto" else float(threshold)))
    reached = graph.cast(graph.add("GreaterOrEqual", chosen, limit), TensorProto.INT64)
    graph.label(graph.add("Gather", graph.constant(np.array([1 - place, place])), reached, axis=0))
    graph.add("Identity", probabilities, out=graph.outputs[1])


_INVERSES: dict[Any, str] = {None: "Identity", np.exp: "Exp", np.sqrt: "Sqrt"}


def _transformed_target(graph: Operators) -> None:
    """Convert a regressor of something that is turned back into the target."""
    estimator = graph.estimator
    [y] = graph.inner(estimator.regressor_)
    transformer = estimator.transformer_
    if isinstance(transformer, StandardScaler):
        y = graph.add("Mul", y, graph.constant(np.asarray(transformer.scale_)))
        graph.add("Add", y, graph.constant(np.asarray(transformer.mean_)), out=graph.outputs[0])
        return
    inverse = getattr(transformer, "inverse_func", transformer)
    if inverse is np.expm1:
        y = graph.add("Exp", y)
        graph.add("Sub", y, graph.constant(np.array(1.0)), out=graph.outputs[0])
        return
    if not isinstance(transformer, FunctionTransformer) or inverse not in _INVERSES:
        raise NotImplementedError(f"a target that is turned back by {inverse}")
    graph.add(_INVERSES[inverse], y, out=graph.outputs[0])


BY_TYPE: dict[type, Conversion] = {
    DummyRegressor: _dummy_regressor,
    DummyClassifier: _dummy_classifier,
    CCA: _linear,
    PLSCanonical: _linear,
    KernelRidge: _kernel_ridge,
    LabelPropagation: _label_propagation,
    LabelSpreading: _label_propagation,
    FixedThresholdClassifier: _threshold,
    TunedThresholdClassifierCV: _threshold,
    TransformedTargetRegressor: _transformed_target,
}
"""What adds an estimator's operators, by its type."""
