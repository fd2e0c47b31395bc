"""Steps that prepare a model's inputs, in doubles."""

import itertools
import math
from numbers import Real
from typing import Any

import numpy as np
from onnx import TensorProto
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.preprocessing import (
    Binarizer,
    KBinsDiscretizer,
    Normalizer,
    PolynomialFeatures,
    PowerTransformer,
)

from model_server.model.onnx_runtime import ABSENT_TEXT
from model_server.packing.graphs.intervals import places
from model_server.packing.graphs.operators import Conversion, Operators
from model_server.packing.graphs.special_functions import expm1, log1p


def _binarizer(graph: Operators) -> None:
    """Convert what is 1 above a threshold, and not at it."""
    above = graph.add("Greater", graph.doubles(), float(graph.estimator.threshold))
    graph.add("Cast", above, out=graph.outputs[0], to=TensorProto.DOUBLE)


def _polynomial(graph: Operators) -> None:
    """Convert products of features, each that of one fewer with one more, from the last on."""
    estimator = graph.estimator
    choose: Any = (
        itertools.combinations
        if estimator.interaction_only
        else itertools.combinations_with_replacement
    )
    X = products = graph.doubles()
    terms: list[tuple[int, ...]] = [(at,) for at in range(estimator.n_features_in_)]
    blocks = [products] if estimator._min_degree <= 1 else []
    for degree in range(2, estimator._max_degree + 1):
        place = {term: at for at, term in enumerate(terms)}
        terms = list(choose(range(estimator.n_features_in_), degree))
        if not terms:
            break
        fewer = graph.add("Gather", products, [place[term[1:]] for term in terms], axis=1)
        one = graph.add("Gather", X, [term[0] for term in terms], axis=1)
        products = graph.add("Mul", fewer, one)
        if degree >= estimator._min_degree:
            blocks.append(products)
    joined = graph.add("Concat", *blocks, axis=1)
    before = [0, int(estimator.include_bias), 0, 0]
    graph.add("Pad", joined, before, 1.0, out=graph.outputs[0])


def _power(graph: Operators) -> None:
    """Convert Yeo and Johnson's powers; Box and Cox's have no answer at 0, but an error."""
    estimator = graph.estimator
    if estimator.method != "yeo-johnson":
        raise NotImplementedError(f"the power transform {estimator.method}, not for any number")
    X, lambdas = graph.doubles(), np.asarray(estimator.lambdas_, np.float64)
    positive = graph.add("GreaterOrEqual", X, 0.0)
    exponent = graph.add("Where", positive, lambdas, 2.0 - lambdas)
    logarithm = log1p(graph, graph.add("Abs", X))
    power = graph.add("Div", expm1(graph, graph.add("Mul", exponent, logarithm)), exponent)
    is_log = graph.add("Less", graph.add("Abs", exponent), float(np.spacing(1.0)))
    size = graph.add("Where", is_log, logarithm, power)
    moved = graph.add("Where", positive, size, graph.add("Neg", size))
    if estimator.standardize:
        scaler = estimator._scaler
        moved = graph.add("Div", graph.add("Sub", moved, scaler.mean_), scaler.scale_)
    graph.add("Identity", moved, out=graph.outputs[0])


def _bins(graph: Operators) -> None:
    """Convert numbers to the bins that they lie in, or to one column a bin."""
    estimator = graph.estimator
    inner = [np.asarray(edges[1:-1], np.float64) for edges in estimator.bin_edges_]
    X = graph.rounded() if estimator.dtype == np.float32 else graph.doubles()
    bins = places(graph, X, inner)
    if estimator.encode == "ordinal":
        graph.add("Identity", bins, out=graph.outputs[0])
        return
    counts = np.asarray(estimator.n_bins_)
    columns = graph.add("Gather", bins, np.repeat(np.arange(len(counts)), counts), axis=1)
    own = graph.add("Equal", columns, np.concatenate([np.arange(count) * 1.0 for count in counts]))
    graph.add("Cast", own, out=graph.outputs[0], to=TensorProto.DOUBLE)


def _is_missing(graph: Operators, X: str) -> str:
    """Add which inputs are missing."""
    missing = graph.estimator.missing_values
    if isinstance(missing, Real):
        number = float(missing)
        return graph.add("IsNaN", X) if math.isnan(number) else graph.add("Equal", X, number)
    raise NotImplementedError(f"missing values that are {missing!r}")


def _imputer(graph: Operators) -> None:
    """Convert what puts a number, or a text, where one is missing."""
    estimator = graph.estimator
    if graph.reads_texts:
        _imputer_of_texts(graph)
        return
    X, fill = graph.doubles(), np.asarray(estimator.statistics_, np.float64)
    missing = _is_missing(graph, X)
    filled = graph.add("Where", missing, fill, X)
    if not estimator.keep_empty_features:
        filled = graph.add("Gather", filled, np.flatnonzero(~np.isnan(fill)), axis=1)
    blocks = [filled]
    if estimator.add_indicator:
        chosen = graph.add("Gather", missing, estimator.indicator_.features_, axis=1)
        blocks.append(graph.cast(chosen, TensorProto.DOUBLE))
    graph.add("Concat", *blocks, out=graph.outputs[0], axis=1)


def _imputer_of_texts(graph: Operators) -> None:
    estimator = graph.estimator
    if estimator.add_indicator:
        raise NotImplementedError("numbers beside texts")
    given = estimator.missing_values
    missing = graph.add(
        "Equal", graph.X, np.array(given if isinstance(given, str) else ABSENT_TEXT)
    )
    graph.add("Where", missing, np.array(estimator.statistics_), graph.X, out=graph.outputs[0])


def _indicator(graph: Operators) -> None:
    """Convert what tells which numbers are missing."""
    estimator = graph.estimator
    missing = _is_missing(graph, graph.doubles())
    if estimator.features == "missing-only" and not np.isnan(estimator.missing_values):
        raise NotImplementedError("an error where a number that is finite is missing")
    chosen = graph.add("Gather", missing, estimator.features_, axis=1)
    graph.add("Cast", chosen, out=graph.outputs[0], to=TensorProto.DOUBLE)


def _normalizer(graph: Operators) -> None:
    """Convert rows to such of length 1; those of nothing but 0 stay."""
    kind = {"l1": "ReduceL1", "l2": "ReduceL2", "max": "ReduceMax"}[graph.estimator.norm]
    X = graph.doubles()
    sizes = graph.add("Abs", X)
    length = graph.add(kind, sizes, [1], keepdims=1)
    nothing = graph.add("Equal", length, 0.0)
    graph.add("Div", X, graph.add("Where", nothing, 1.0, length), out=graph.outputs[0])


BY_TYPE: dict[type, Conversion] = {
    Binarizer: _binarizer,
    KBinsDiscretizer: _bins,
    MissingIndicator: _indicator,
    Normalizer: _normalizer,
    PolynomialFeatures: _polynomial,
    PowerTransformer: _power,
    SimpleImputer: _imputer,
}
"""What adds a step's operators, by its type."""
