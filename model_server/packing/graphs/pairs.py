"""Classes that are told apart two by two."""

import itertools
from typing import Any

import numpy as np
from onnx import GraphProto, NodeProto, TensorProto, helper, numpy_helper

from model_server.packing.graphs.operators import Operators
from model_server.packing.graphs.tree_ensemble import Floats


def pairs(n_classes: int) -> list[tuple[int, int]]:
    """Return each two classes, the first of them first."""
    return list(itertools.combinations(range(n_classes), 2))


def _signs(n_classes: int) -> Floats:
    """Return -1 for the first class of each pair, 1 for the second: (n_pairs, n_classes)."""
    signs = np.zeros((len(pairs(n_classes)), n_classes))
    for at, (first, second) in enumerate(pairs(n_classes)):
        signs[at, first], signs[at, second] = -1.0, 1.0
    return signs


def votes(graph: Operators, second: str, n_classes: int) -> str:
    """Add how many pairs each class has won.

    Parameters
    ----------
    graph : Operators
    second : str
        1.0 where the second class of a pair has won, of shape (n_rows, n_pairs).
    n_classes : int

    Returns
    -------
    votes : str
        Doubles of shape (n_rows, n_classes).
    """
    signs = _signs(n_classes)
    return graph.add("Add", graph.add("MatMul", second, signs), (signs < 0).sum(axis=0) * 1.0)


def ranked(graph: Operators, second: str, confidences: str, n_classes: int) -> str:
    """Add votes and, for what is even, up to a third of one for the confidences.

    Parameters
    ----------
    graph : Operators
    second : str
        As for `votes`.
    confidences : str
        In the second class of each pair, of shape (n_rows, n_pairs).
    n_classes : int

    Returns
    -------
    scores : str
        Doubles of shape (n_rows, n_classes).
    """
    sums = graph.add("MatMul", confidences, _signs(n_classes))
    size = graph.add("Mul", graph.add("Add", graph.add("Abs", sums), 1.0), 3.0)
    share = graph.add("Div", sums, size)
    return graph.add("Add", votes(graph, second, n_classes), share)


def coupled(graph: Operators, first: str, n_classes: int) -> str:
    """Add the probabilities of classes that those of pairs are nearest to.

    They are found step by step, as libsvm does (Wu, Lin and Weng, 2004, the second method): every
    row until nothing moves by more than 0.005 / n_classes, so that all digits are the same.

    Parameters
    ----------
    graph : Operators
    first : str
        The probability of the first class of each pair, of shape (n_rows, n_pairs).
    n_classes : int

    Returns
    -------
    probabilities : str
        Doubles of shape (n_rows, n_classes).
    """
    places = np.full((n_classes, n_classes), 2 * len(pairs(n_classes)))
    for at, (one, other) in enumerate(pairs(n_classes)):
        places[one, other], places[other, one] = at, at + len(pairs(n_classes))
    second = graph.add("Sub", 1.0, first)
    padded = graph.add("Pad", graph.add("Concat", first, second, axis=1), [0, 0, 0, 1], 0.0)
    r = graph.add("Gather", padded, places, axis=1)
    products = graph.add("Mul", r, graph.add("Transpose", r, perm=[0, 2, 1]))
    squares = graph.add("ReduceSumSquare", r, [1], keepdims=1)
    Q = graph.add("Sub", graph.add("Mul", squares, np.eye(n_classes)), products)
    begin = graph.add("Mul", graph.add("ReduceSum", Q, [2], keepdims=0), 0.0)
    begin = graph.add("Add", begin, 1.0 / n_classes)
    steps, on = max(100, n_classes), np.array(True)  # noqa: FBT003
    return graph.add("Loop", steps, on, begin, body=_coupling_step(Q, n_classes))


def _coupling_step(Q: str, n_classes: int) -> GraphProto:
    """Return one step of the search, in which the rows that have been found stay."""
    body = _Body()
    column = body.add("Unsqueeze", "before", [2])
    Qp = body.add("Squeeze", body.add("MatMul", Q, column), [2])
    pQp = body.add("ReduceSum", body.add("Mul", "before", Qp), [1], keepdims=1)
    errors = body.add("Abs", body.add("Sub", Qp, pQp))
    largest = body.add("ReduceMax", errors, [1], keepdims=1)
    moving = body.add("GreaterOrEqual", largest, 0.005 / n_classes)
    p = "before"
    for at in range(n_classes):
        row = body.add("Gather", Q, at, axis=1)
        own = body.add("Gather", row, [at], axis=1)
        Qp_at = body.add("Gather", Qp, [at], axis=1)
        step = body.add("Div", body.add("Sub", pQp, Qp_at), own)
        whole = body.add("Add", step, 1.0)
        twice = body.add("Add", body.add("Mul", step, own), body.add("Mul", Qp_at, 2.0))
        pQp = body.add("Add", pQp, body.add("Mul", step, twice))
        pQp = body.add("Div", body.add("Div", pQp, whole), whole)
        Qp = body.add("Div", body.add("Add", Qp, body.add("Mul", step, row)), whole)
        moved = body.add("Add", p, body.add("Mul", step, np.eye(n_classes)[at]))
        p = body.add("Div", moved, whole)
    after = body.add("Where", moving, p, "before")
    any_moving = body.add("ReduceMax", body.add("Cast", moving, to=TensorProto.INT64), keepdims=0)
    return body.graph(body.add("Cast", any_moving, to=TensorProto.BOOL), after, n_classes)


class _Body:
    """The operators of a loop's step, which may read what stands before the loop."""

    def __init__(self) -> None:
        self._nodes: list[NodeProto] = []
        self._constants: list[TensorProto] = []

    def add(self, kind: str, *inputs: Any, **given: Any) -> str:
        """Add an operator, as `Operators.add` does."""
        names = [each if isinstance(each, str) else self._constant(each) for each in inputs]
        output = f"step_{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, names, [output], **given))
        return output

    def _constant(self, values: Any) -> str:
        name = f"step_constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def graph(self, going_on: str, after: str, n_columns: int) -> GraphProto:
        """Return the step: from whether it goes on and what was before, to what is after."""
        declare = helper.make_tensor_value_info
        rows = (TensorProto.DOUBLE, [None, n_columns])
        given = [
            declare("step_number", TensorProto.INT64, []),
            declare("step_going_on", TensorProto.BOOL, []),
            declare("before", *rows),
        ]
        found = [declare(going_on, TensorProto.BOOL, []), declare(after, *rows)]
        return helper.make_graph(self._nodes, "step", given, found, self._constants)
