"""Splines and quantiles of each feature, in doubles."""

import numpy as np
from sklearn.preprocessing import QuantileTransformer, SplineTransformer
from sklearn.preprocessing._data import BOUNDS_THRESHOLD

from model_server.packing.graphs.intervals import interpolated, places
from model_server.packing.graphs.operators import Conversion, Operators
from model_server.packing.graphs.special_functions import normal_quantile
from model_server.packing.graphs.tree_ensemble import Floats


def _spline(graph: Operators) -> None:
    """Convert B-splines, by the recursion of de Boor, Cox and Mansfield."""
    estimator = graph.estimator
    if estimator.extrapolation == "error":
        raise NotImplementedError("splines with an error beyond the last knot")
    if estimator.handle_missing != "error":
        raise NotImplementedError("splines of missing values")
    knots = np.array([spline.t for spline in estimator.bsplines_])
    X = graph.doubles()
    if estimator.extrapolation == "continue":
        values = _values(graph, X, knots)
    elif estimator.extrapolation == "periodic":
        values = _values(graph, _turned_back(graph, X, knots), knots)
    else:
        values = _extrapolated(graph, X, knots)
    n_splines = estimator.bsplines_[0].c.shape[1]
    if not estimator.include_bias:
        n_splines -= 1
        values = graph.add("Gather", values, np.arange(n_splines), axis=2)
    graph.add("Reshape", values, [-1, len(knots) * n_splines], out=graph.outputs[0])


def _ends(graph: Operators, knots: Floats) -> tuple[Floats, Floats]:
    """Return where the splines of each feature begin and end."""
    degree = graph.estimator.degree
    return knots[:, degree], knots[:, -degree - 1]


def _turned_back(graph: Operators, X: str, knots: Floats) -> str:
    """Add the numbers of the first turn that periodic splines are the same for."""
    low, high = _ends(graph, knots)
    if (low == high).any():
        raise NotImplementedError("periodic splines of a constant")
    turns = graph.add("Floor", graph.add("Div", graph.add("Sub", X, low), high - low))
    return graph.add("Sub", X, graph.add("Mul", turns, high - low))


def _extrapolated(graph: Operators, X: str, knots: Floats) -> str:
    """Add splines that go on as lines, of which only the outermost ones have a say."""
    splines, n_outermost = graph.estimator.bsplines_, graph.estimator.degree
    low, high = _ends(graph, knots)
    inside = graph.add("Min", graph.add("Max", X, low), high)
    values = _values(graph, inside, knots)
    beyond = graph.add("Unsqueeze", graph.add("Sub", X, inside), [2])
    below, above = graph.add("Less", beyond, 0.0), graph.add("Greater", beyond, 0.0)
    if graph.estimator.extrapolation == "linear":
        if n_outermost < 2:  # where scikit-learn takes each further feature's ends elsewhere
            raise NotImplementedError("splines of degree 1 that go on as lines")
        first, last = (
            np.array([spline(end, nu=1) for spline, end in zip(splines, ends, strict=True)])
            for ends in (low, high)
        )
        slopes = graph.add("Where", below, first, last)
        values = graph.add("Add", values, graph.add("Mul", slopes, beyond))
    place = np.arange(splines[0].c.shape[1])
    is_last = np.where(place >= len(place) - n_outermost, 1.0, 0.0)
    is_first = np.where(place < n_outermost, 1.0, 0.0)
    counts = graph.add("Where", below, is_first, graph.add("Where", above, is_last, 1.0))
    return graph.add("Mul", values, counts)


def _values(graph: Operators, X: str, knots: Floats) -> str:
    """Add the splines, of shape (n_rows, n_features, n_splines)."""
    basis = _basis(graph, X, knots, graph.estimator.degree)
    return graph.add("MatMul", basis, graph.estimator.bsplines_[0].c)


def _basis(graph: Operators, X: str, knots: Floats, degree: int) -> str:
    """Add the B-splines of some degree, of shape (n_rows, n_features, n_knots - degree - 1)."""
    inner = knots[:, degree + 1 : knots.shape[1] - degree - 1]
    place = graph.add("Unsqueeze", places(graph, X, list(inner)), [2])
    basis = graph.add("Equal", place, np.arange(knots.shape[1] - 1) - degree * 1.0)
    basis = graph.add("Where", basis, 1.0, 0.0)
    number = graph.add("Unsqueeze", X, [2])
    for power in range(1, degree + 1):
        widths = knots[:, power:] - knots[:, :-power]
        shares = np.divide(1.0, widths, out=np.zeros_like(widths), where=widths != 0)
        risen = graph.add("Mul", graph.add("Sub", number, knots[:, : -power - 1]), shares[:, :-1])
        fallen = graph.add("Mul", graph.add("Sub", knots[:, power + 1 :], number), shares[:, 1:])
        own, following = (
            graph.add("Gather", basis, np.arange(widths.shape[1] - 1) + shift, axis=2)
            for shift in (0, 1)
        )
        basis = graph.add("Add", graph.add("Mul", risen, own), graph.add("Mul", fallen, following))
    return basis


def _quantiles(graph: Operators) -> None:
    """Convert numbers to the share of those seen that are smaller, or to a normal distribution."""
    estimator = graph.estimator
    X, seen = graph.doubles(), list(estimator.quantiles_.T)
    shares = [estimator.references_] * len(seen)
    upwards = interpolated(graph, X, seen, shares)
    downwards = interpolated(
        graph, graph.add("Neg", X), [-each[::-1] for each in seen], [-each[::-1] for each in shares]
    )
    share = graph.add("Mul", graph.add("Sub", upwards, downwards), 0.5)
    first, last = estimator.quantiles_[0], estimator.quantiles_[-1]
    if estimator.output_distribution == "uniform":
        is_first, is_last = graph.add("Equal", X, first), graph.add("Equal", X, last)
    else:
        is_first = graph.add("Less", graph.add("Sub", X, BOUNDS_THRESHOLD), first)
        is_last = graph.add("Greater", graph.add("Add", X, BOUNDS_THRESHOLD), last)
    share = graph.add("Where", is_first, 0.0, graph.add("Where", is_last, 1.0, share))
    if estimator.output_distribution == "normal":
        share = normal_quantile(graph, share, BOUNDS_THRESHOLD - np.spacing(1))
    graph.add("Identity", share, out=graph.outputs[0])


BY_TYPE: dict[type, Conversion] = {
    QuantileTransformer: _quantiles,
    SplineTransformer: _spline,
}
"""What adds a step's operators, by its type."""
