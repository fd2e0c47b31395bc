"""How alike rows are to some others: the kernels of support vectors and of ridge regression."""

from dataclasses import dataclass

from model_server.packing.graphs.operators import Operators
from model_server.packing.graphs.tree_ensemble import Floats


@dataclass(frozen=True)
class Kernel:
    """What tells how alike two rows are.

    Attributes
    ----------
    name : str
    gamma : float or None
        By default one over the number of features.
    degree, coef0 : float
    """

    name: str
    gamma: float | None
    degree: float = 3
    coef0: float = 1.0


def alikeness(graph: Operators, others: Floats, kernel: Kernel) -> str:
    """Add the kernel of each row with each of some others.

    Parameters
    ----------
    graph : Operators
    others : ndarray of shape (n_others, n_features), float64
    kernel : Kernel

    Returns
    -------
    alikeness : str
        Doubles of shape (n_rows, n_others).
    """
    X = graph.doubles()
    gamma = 1 / others.shape[1] if kernel.gamma is None else float(kernel.gamma)
    if kernel.name == "rbf":
        squares = squared_distances(graph, X, others)
        return graph.add("Exp", graph.add("Mul", squares, -gamma))
    products = graph.add("MatMul", X, others.T)
    if kernel.name == "linear":
        return products
    moved = graph.add("Add", graph.add("Mul", products, gamma), float(kernel.coef0))
    if kernel.name == "sigmoid":
        return graph.add("Tanh", moved)
    if kernel.name in {"poly", "polynomial"}:
        return graph.add("Pow", moved, float(kernel.degree))
    raise NotImplementedError(f"the kernel {kernel.name!r}")


def squared_distances(graph: Operators, X: str, others: Floats) -> str:
    """Add those of rows to some others, of which few digits cancel: all are centred.

    Parameters
    ----------
    graph : Operators
    X : str
        Doubles of shape (n_rows, n_features).
    others : ndarray of shape (n_others, n_features), float64

    Returns
    -------
    distances : str
        Doubles of shape (n_rows, n_others), not negative.
    """
    centre = others.mean(axis=0)
    X, others = graph.add("Sub", X, centre), others - centre
    products = graph.add("MatMul", X, others.T)
    lengths = graph.add("ReduceSumSquare", X, [1], keepdims=1)
    apart = graph.add("Sub", lengths, graph.add("Mul", products, 2.0))
    return graph.add("Max", graph.add("Add", apart, (others**2).sum(axis=1)), 0.0)
