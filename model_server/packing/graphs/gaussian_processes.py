"""Classification by Gaussian processes, of which ONNX Runtime has no solver."""

from typing import Any

import numpy as np
from sklearn.gaussian_process import GaussianProcessClassifier, kernels
from sklearn.gaussian_process._gpc import COEFS, LAMBDAS

from model_server.packing.graphs.kernels import squared_distances
from model_server.packing.graphs.operators import Conversion, Operators
from model_server.packing.graphs.special_functions import erf
from model_server.packing.graphs.tree_ensemble import Floats


def _alikeness(graph: Operators, kernel: Any, others: Floats) -> Any:
    """Add the kernel of each row with each of some others, or return a number for all of them."""
    if isinstance(kernel, kernels.Sum | kernels.Product):
        parts = (_alikeness(graph, each, others) for each in (kernel.k1, kernel.k2))
        return graph.add("Add" if isinstance(kernel, kernels.Sum) else "Mul", *parts)
    if isinstance(kernel, kernels.ConstantKernel):
        return float(kernel.constant_value)
    if isinstance(kernel, kernels.WhiteKernel):
        return 0.0
    if isinstance(kernel, kernels.DotProduct):
        products = graph.add("MatMul", graph.doubles(), others.T)
        return graph.add("Add", products, float(kernel.sigma_0) ** 2)
    return _by_distance(graph, kernel, others)


def _by_distance(graph: Operators, kernel: Any, others: Floats) -> str:
    """Add a kernel of the distance alone."""
    kind, nu = type(kernel), getattr(kernel, "nu", None)
    kinds = {kernels.RBF, kernels.Matern, kernels.RationalQuadratic}
    if kind not in kinds or nu not in {None, 1.5, 2.5, np.inf}:
        raise NotImplementedError(f"the kernel {kernel}")
    scale = np.asarray(kernel.length_scale, np.float64)
    scaled = graph.add("Div", graph.doubles(), scale)
    squares = squared_distances(graph, scaled, others / scale)
    if kind is kernels.RationalQuadratic:
        share = graph.add("Div", squares, 2.0 * kernel.alpha)
        return graph.add("Pow", graph.add("Add", share, 1.0), float(-kernel.alpha))
    if nu in {1.5, 2.5}:
        return _matern(graph, squares, kernel.nu)
    return graph.add("Exp", graph.add("Mul", squares, -0.5))


def _matern(graph: Operators, squares: str, nu: float) -> str:
    """Add a kernel that is smooth where the distance is 0, so that its root's error is none."""
    apart = graph.add("Sqrt", graph.add("Mul", squares, 2.0 * nu))
    factor = graph.add("Add", apart, 1.0)
    if nu == 2.5:
        factor = graph.add("Add", factor, graph.add("Mul", squares, 5.0 / 3.0))
    return graph.add("Mul", factor, graph.add("Exp", graph.add("Neg", apart)))


def _diagonal(graph: Operators, kernel: Any) -> Any:
    """Add the kernel of each row with itself, or return a number for all of them."""
    if isinstance(kernel, kernels.Sum | kernels.Product):
        parts = (_diagonal(graph, each) for each in (kernel.k1, kernel.k2))
        return graph.add("Add" if isinstance(kernel, kernels.Sum) else "Mul", *parts)
    if isinstance(kernel, kernels.ConstantKernel):
        return float(kernel.constant_value)
    if isinstance(kernel, kernels.WhiteKernel):
        return float(kernel.noise_level)
    if isinstance(kernel, kernels.DotProduct):
        squares = graph.add("ReduceSumSquare", graph.doubles(), [1], keepdims=1)
        return graph.add("Add", squares, float(kernel.sigma_0) ** 2)
    return 1.0


def _two(graph: Operators, fitted: Any) -> tuple[str, str]:
    """Add the latent mean of two classes, and the second's probability, both (n_rows, 1)."""
    alike = _alikeness(graph, fitted.kernel_, fitted.X_train_)
    mean = graph.add("MatMul", alike, (fitted.y_train_ - fitted.pi_).reshape(-1, 1))
    solved = np.linalg.solve(fitted.L_, np.diag(fitted.W_sr_))
    known = graph.add("ReduceSumSquare", graph.add("MatMul", alike, solved.T), [1], keepdims=1)
    variance = graph.add("Sub", _diagonal(graph, fitted.kernel_), known)
    scales, weights = LAMBDAS.T, COEFS
    alpha = graph.add("Div", 0.5, variance)
    narrow = graph.add("Sqrt", graph.add("Div", alpha, graph.add("Add", alpha, scales**2)))
    curves = erf(graph, graph.add("Mul", graph.add("Mul", mean, scales), narrow))
    half = graph.add("Mul", graph.add("MatMul", curves, weights), 0.5)
    return mean, graph.add("Add", half, 0.5 * weights.sum())


def _classification(graph: Operators) -> None:
    """Convert one process for two classes, or one for each of more."""
    estimator = graph.estimator
    if len(estimator.classes_) == 2:
        mean, second = _two(graph, estimator.base_estimator_)
        graph.label(graph.chosen(mean, 2))
        graph.add("Concat", graph.add("Sub", 1.0, second), second, out=graph.outputs[1], axis=1)
        return
    if estimator.multi_class != "one_vs_rest":
        raise NotImplementedError("Gaussian processes of pairs of classes")
    columns = [_two(graph, fitted)[1] for fitted in estimator.base_estimator_.estimators_]
    scores = graph.add("Concat", *columns, axis=1)
    graph.label(graph.first_largest(scores))
    graph.add("Div", scores, graph.total(columns), out=graph.outputs[1])


BY_TYPE: dict[type, Conversion] = {GaussianProcessClassifier: _classification}
"""What adds an estimator's operators, by its type."""
