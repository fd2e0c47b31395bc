"""Functions that ONNX has no operator for, or none in doubles.

The rational functions are Cephes' (S. L. Moshier), which SciPy computes with too.
"""

from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

from model_server.packing.graphs.operators import Operators


def log1p(graph: Operators, x: str) -> str:
    """Add log(1 + x), which keeps its digits near 0 (Kahan's way)."""
    above = graph.add("Add", x, 1.0)
    ratio = graph.add("Div", graph.add("Log", above), graph.add("Sub", above, 1.0))
    return graph.add("Where", graph.add("Equal", above, 1.0), x, graph.add("Mul", x, ratio))


def expm1(graph: Operators, x: str) -> str:
    """Add exp(x) - 1, which keeps its digits near 0 (Kahan's way)."""
    power = graph.add("Exp", x)
    less = graph.add("Sub", power, 1.0)
    near = graph.add("Mul", less, graph.add("Div", x, graph.add("Log", power)))
    is_far = graph.add("Greater", graph.add("Abs", x), 1.0)
    either = graph.add("Where", is_far, less, near)
    return graph.add("Where", graph.add("Equal", power, 1.0), x, either)


def erf(graph: Operators, x: str) -> str:
    """Add the error function."""
    square = graph.add("Mul", x, x)
    inner = graph.add("Mul", x, _ratio(graph, square, _ERF_INNER))
    size = graph.add("Min", graph.add("Abs", x), 8.0)  # beyond which it is 1
    fall = graph.add("Exp", graph.add("Neg", graph.add("Mul", size, size)))
    outer = graph.add("Sub", 1.0, graph.add("Mul", fall, _ratio(graph, size, _ERF_OUTER)))
    signed = graph.add("Mul", graph.add("Sign", x), outer)
    return graph.add("Where", graph.add("Greater", size, 1.0), signed, inner)


def normal_quantile(graph: Operators, share: str, least: float) -> str:
    """Add quantiles of the normal distribution.

    Parameters
    ----------
    graph : Operators
    share : str
    least : float
        A smaller share has the quantile of this, which is no less than exp(-32), and so has a
        larger one at the other end.

    Returns
    -------
    quantile : str
    """
    upper = graph.add("Greater", share, 1 - np.exp(-2))
    mirrored = graph.add("Where", upper, graph.add("Sub", 1.0, share), share)
    inside = graph.add("Max", mirrored, np.exp(-32))
    middle = graph.add("Sub", inside, 0.5)
    square = graph.add("Mul", middle, middle)
    ratio = graph.add("Mul", square, _ratio(graph, square, _QUANTILE_INNER))
    bent = graph.add("Add", middle, graph.add("Mul", middle, ratio))
    central = graph.add("Mul", bent, np.sqrt(2 * np.pi))
    root = graph.add("Sqrt", graph.add("Mul", graph.add("Log", inside), -2.0))
    start = graph.add("Sub", root, graph.add("Div", graph.add("Log", root), root))
    inverse = graph.add("Div", 1.0, root)
    ratio = graph.add("Mul", inverse, _ratio(graph, inverse, _QUANTILE_OUTER))
    outer = graph.add("Sub", start, ratio)
    signed = graph.add("Where", upper, outer, graph.add("Neg", outer))
    is_central = graph.add("Greater", mirrored, np.exp(-2))
    quantile = graph.add("Where", is_central, central, signed)
    first, last = NormalDist().inv_cdf(least), NormalDist().inv_cdf(1 - least)
    return graph.add("Min", graph.add("Max", quantile, first), last)


_Ratio = tuple[Sequence[float], Sequence[float]]
"""The coefficients of two polynomials, that of the highest power first."""


def _ratio(graph: Operators, x: str, coefficients: _Ratio) -> str:
    """Add one polynomial over another."""
    above, below = (_polynomial(graph, x, each) for each in coefficients)
    return graph.add("Div", above, below)


def _polynomial(graph: Operators, x: str, coefficients: Sequence[float]) -> str:
    """Add a polynomial, by Horner's rule."""
    first, *between, last = coefficients
    value = graph.add("Mul", x, first)
    for coefficient in between:
        value = graph.add("Mul", graph.add("Add", value, coefficient), x)
    return graph.add("Add", value, last)


_ERF_INNER: _Ratio = (
    (
        *(9.60497373987051638749e0, 9.00260197203842689217e1, 2.23200534594684319226e3),
        *(7.00332514112805075473e3, 5.55923013010394962768e4),
    ),
    (
        *(1.0, 3.35617141647503099647e1, 5.21357949780152679795e2, 4.59432382970980127987e3),
        *(2.26290000613890934246e4, 4.92673942608635921086e4),
    ),
)
_ERF_OUTER: _Ratio = (
    (
        *(2.46196981473530512524e-10, 5.64189564831068821977e-1, 7.46321056442269912687e0),
        *(4.86371970985681366614e1, 1.96520832956077098242e2, 5.26445194995477358631e2),
        *(9.34528527171957607540e2, 1.02755188689515710272e3, 5.57535335369399327526e2),
    ),
    (
        *(1.0, 1.32281951154744992508e1, 8.67072140885989742329e1, 3.54937778887819891062e2),
        *(9.75708501743205489753e2, 1.82390916687909736289e3, 2.24633760818710981792e3),
        *(1.65666309194161350182e3, 5.57535340817727675546e2),
    ),
)
_QUANTILE_INNER: _Ratio = (
    (
        *(-5.99633501014107895267e1, 9.80010754185999661536e1, -5.66762857469070293439e1),
        *(1.39312609387279679503e1, -1.23916583867381258016e0),
    ),
    (
        *(1.0, 1.95448858338141759834e0, 4.67627912898881538453e0, 8.63602421390890590575e1),
        *(-2.25462687854119370527e2, 2.00260212380060660359e2, -8.20372256168333339912e1),
        *(1.59056225126211695515e1, -1.18331621121330003142e0),
    ),
)
_QUANTILE_OUTER: _Ratio = (
    (
        *(4.05544892305962419923e0, 3.15251094599893866154e1, 5.71628192246421288162e1),
        *(4.40805073893200834700e1, 1.46849561928858024014e1, 2.18663306850790267539e0),
        *(-1.40256079171354495875e-1, -3.50424626827848203418e-2, -8.57456785154685413611e-4),
    ),
    (
        *(1.0, 1.57799883256466749731e1, 4.53907635128879210584e1, 4.13172038254672030440e1),
        *(1.50425385692907503408e1, 2.50464946208309415979e0, -1.42182922854787788574e-1),
        *(-3.80806407691578277194e-2, -9.33259480895457427372e-4),
    ),
)
