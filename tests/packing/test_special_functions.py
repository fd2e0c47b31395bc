"""Functions in doubles: to a few units in the last place, also where digits would cancel."""

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import NodeProto, TensorProto, helper, numpy_helper

from model_server.packing.graphs import special_functions

LEAST = 1e-7
EVERYWHERE = np.concatenate([np.linspace(-12, 12, 4001), np.logspace(-300, 1, 400), [0.0]])


class Recorder:
    """Operators without an estimator."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []

    def add(self, kind: str, *inputs: Any) -> str:
        names = [each if isinstance(each, str) else self.constant(each) for each in inputs]
        output = f"value_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, names, [output]))
        return output

    def constant(self, number: Any) -> str:
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(number), name))
        return name


def values(function: Callable[..., str], x: Any, *given: float) -> Any:
    recorder = Recorder()
    y = function(recorder, "x", *given)
    ends = [helper.make_tensor_value_info(name, TensorProto.DOUBLE, [None]) for name in ("x", y)]
    graph = helper.make_graph(recorder.nodes, "g", ends[:1], ends[1:], recorder.constants)
    opsets = [helper.make_opsetid("", 18)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})[0]


@pytest.mark.parametrize(
    ("function", "known", "x"),
    [
        (special_functions.erf, math.erf, EVERYWHERE),
        (special_functions.expm1, math.expm1, EVERYWHERE),
        (special_functions.log1p, math.log1p, EVERYWHERE[EVERYWHERE > -1]),
    ],
    ids=["erf", "expm1", "log1p"],
)
def test_a_function(function: Any, known: Callable[[float], float], x: Any) -> None:
    expected = [known(each) for each in x]
    np.testing.assert_allclose(values(function, x), expected, rtol=2e-15)


def test_quantiles_of_the_normal_distribution() -> None:
    x = np.concatenate([np.linspace(LEAST, 1 - LEAST, 4001), np.logspace(-7, -1, 400)])
    expected = [NormalDist().inv_cdf(each) for each in x]
    actual = values(special_functions.normal_quantile, x, LEAST)
    np.testing.assert_allclose(actual, expected, rtol=1e-14, atol=1e-15)
    ends = values(special_functions.normal_quantile, np.array([0.0, 1.0]), LEAST)
    np.testing.assert_allclose(ends, [NormalDist().inv_cdf(LEAST), NormalDist().inv_cdf(1 - LEAST)])
