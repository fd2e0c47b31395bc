"""Steps that give every row its products with some directions, or its likeness to some others."""

import numpy as np
from sklearn.covariance import EllipticEnvelope
from sklearn.decomposition import FactorAnalysis, FastICA
from sklearn.feature_selection import SequentialFeatureSelector
from sklearn.kernel_approximation import Nystroem, RBFSampler
from sklearn.random_projection import GaussianRandomProjection, SparseRandomProjection

from model_server.packing.graphs.kernels import Kernel, alikeness
from model_server.packing.graphs.operators import Conversion, Operators
from model_server.packing.graphs.tree_ensemble import Floats


def _projected(graph: Operators, X: str, directions: Floats) -> None:
    """Answer with the products of rows with directions, of shape (n_features, n_directions)."""
    graph.add("MatMul", X, np.asarray(directions, np.float64), out=graph.outputs[0])


def _independent(graph: Operators) -> None:
    estimator, X = graph.estimator, graph.doubles()
    if estimator.whiten:
        X = graph.add("Sub", X, estimator.mean_)
    _projected(graph, X, estimator.components_.T)


def _factors(graph: Operators) -> None:
    estimator = graph.estimator
    weighted = estimator.components_ / estimator.noise_variance_
    covariance = np.linalg.inv(np.eye(len(weighted)) + weighted @ estimator.components_.T)
    X = graph.add("Sub", graph.doubles(), estimator.mean_)
    _projected(graph, X, weighted.T @ covariance)


def _random(graph: Operators) -> None:
    components = graph.estimator.components_
    dense = components.toarray() if hasattr(components, "toarray") else components
    _projected(graph, graph.doubles(), dense.T)


def _sampled(graph: Operators) -> None:
    """Convert random features of the kernel "rbf"."""
    estimator = graph.estimator
    products = graph.add("MatMul", graph.doubles(), estimator.random_weights_)
    waves = graph.add("Cos", graph.add("Add", products, estimator.random_offset_))
    share = float(np.sqrt(2.0) / np.sqrt(estimator.n_components))
    graph.add("Mul", waves, share, out=graph.outputs[0])


def _landmarks(graph: Operators) -> None:
    """Convert the likeness to some rows of the training."""
    estimator = graph.estimator
    if callable(estimator.kernel) or estimator.kernel_params:
        raise NotImplementedError("a kernel of one's own")
    coef0 = 1.0 if estimator.coef0 is None else estimator.coef0
    degree = 3 if estimator.degree is None else estimator.degree
    kernel = Kernel(estimator.kernel, estimator.gamma, degree, coef0)
    _projected(graph, alikeness(graph, estimator.components_, kernel), estimator.normalization_.T)


def _selected(graph: Operators) -> None:
    places = np.flatnonzero(graph.estimator.get_support())
    graph.add("Gather", graph.doubles(), places, out=graph.outputs[0], axis=1)


def _envelope(graph: Operators) -> None:
    """Convert what lies outside an ellipse."""
    estimator = graph.estimator
    apart = graph.add("Sub", graph.doubles(), estimator.location_)
    turned = graph.add("MatMul", apart, estimator.precision_)
    squared = graph.add("ReduceSum", graph.add("Mul", turned, apart), [1], keepdims=1)
    decision = graph.add("Sub", graph.add("Neg", squared), float(estimator.offset_))
    inside = graph.whole(graph.add("GreaterOrEqual", decision, 0.0))
    graph.add("Gather", np.array([-1, 1]), inside, out=graph.outputs[0], axis=0)
    graph.add("Identity", decision, out=graph.outputs[1])


BY_TYPE: dict[type, Conversion] = {
    EllipticEnvelope: _envelope,
    FactorAnalysis: _factors,
    FastICA: _independent,
    GaussianRandomProjection: _random,
    Nystroem: _landmarks,
    RBFSampler: _sampled,
    SequentialFeatureSelector: _selected,
    SparseRandomProjection: _random,
}
"""What adds an estimator's operators, by its type."""
