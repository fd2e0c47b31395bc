"""In which interval a number lies: what bins, splines and interpolation begin with."""

from collections.abc import Sequence

import numpy as np

from model_server.packing.graphs.operators import Operators
from model_server.packing.graphs.tree_ensemble import Floats, Tree


def places(graph: Operators, X: str, edges: Sequence[Floats]) -> str:
    """Add how many of a feature's edges are not above its number.

    Parameters
    ----------
    graph : Operators
    X : str
        Of shape (n_rows, n_features).
    edges : sequence of ndarray of float64
        Those of each feature, sorted; NaN is above all of them.

    Returns
    -------
    places : str
        Doubles of shape (n_rows, n_features).
    """
    trees, counts = zip(*map(_search, range(len(edges)), edges), strict=True)
    return graph.trees(X, trees, counts, range(len(edges)), len(edges))


def _search(feature: int, edges: Floats) -> tuple[Tree, Floats]:
    """Return the tree that halves the edges until a number's place is found, and its values."""
    nodes: list[tuple[int, int, float, int]] = []

    def grow(least: int, most: int) -> int:
        node, middle = len(nodes), (least + most) // 2
        nodes.append((-1, -1, 0.0, least))
        if least < most:
            below = np.nextafter(edges[middle], -np.inf)
            nodes[node] = grow(least, middle), grow(middle + 1, most), below, least
        return node

    grow(0, len(edges))
    yes, no, threshold, counts = map(np.array, zip(*nodes, strict=True))
    nothing = np.zeros(len(nodes), bool)
    return Tree(np.full(len(nodes), feature), threshold, yes, no, nothing, {}), counts * 1.0


def interpolated(
    graph: Operators, X: str, knots: Sequence[Floats], values: Sequence[Floats]
) -> str:
    """Add what lies on the lines between some points, as ``numpy.interp`` does.

    Parameters
    ----------
    graph : Operators
    X : str
        Of shape (n_rows, n_features).
    knots, values : sequence of ndarray of float64
        Those of each feature; at and beyond the ends are the first and the last value.

    Returns
    -------
    values : str
        Doubles of shape (n_rows, n_features).
    """
    starts, heights, slopes = [], [], []
    for x, y in zip(knots, values, strict=True):
        with np.errstate(divide="ignore", invalid="ignore"):  # of knots at one place, never taken
            between = np.diff(y) / np.diff(x)
        starts.append([x[0], *x])
        heights.append([y[0], *y])
        slopes.append([0.0, *between, 0.0])
    first = np.cumsum([0, *map(len, starts[:-1])])
    place = graph.add("Add", graph.whole(places(graph, X, knots)), first)
    start, height, slope = (
        graph.add("Gather", np.concatenate(each), place) for each in (starts, heights, slopes)
    )
    return graph.add("Add", graph.add("Mul", slope, graph.add("Sub", X, start)), height)
