"""Graphs of encoders, which give each label of a column numbers of its own.

What these are is asked of the encoder itself, a label at a time: so labels that are grouped,
dropped, missing or unknown come out as it has them.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from onnx import TensorProto
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, TargetEncoder

from model_server.model.cells.cells import is_nan
from model_server.model.onnx_runtime import ABSENT_TEXT
from model_server.packing.graphs.operators import Conversion, Operators
from model_server.packing.graphs.tree_ensemble import Floats

_UNKNOWN_TEXT, _UNKNOWN_NUMBER = "\ufdd1", 1.5e300
"""What is no label."""


def _encoder(graph: Operators) -> None:
    encoder, is_text = graph.estimator, graph.reads_texts
    X = graph.X if is_text else graph.doubles()
    labels = [np.asarray(each, dtype=object) for each in encoder.categories_]
    first = [each[0] for each in labels]
    tables = [_table(encoder, first, at, known, is_text=is_text) for at, known in enumerate(labels)]
    changed = [(table != table[0]).any(axis=0) for table in tables]
    changed[0] |= ~np.logical_or.reduce(changed)  # with what no label changes
    blocks, places = [], []
    for at, (table, own, known) in enumerate(zip(tables, changed, labels, strict=True)):
        if own.any():
            column = graph.add("Gather", X, [at], axis=1)
            index = _index(graph, column, known, is_text=is_text)
            blocks.append(graph.add("Gather", table[:, own], index, axis=0))
            places += np.flatnonzero(own).tolist()
    together = graph.add("Concat", *blocks, axis=1)
    graph.add("Gather", together, np.argsort(places), out=graph.outputs[0], axis=1)


def _table(
    encoder: Any, first: list[Any], at: int, known: npt.NDArray[Any], *, is_text: bool
) -> Floats:
    """Return what an encoder makes of each label of a column, and last of an unknown one.

    In the other columns are their first labels.

    Returns
    -------
    table : ndarray of shape (n_labels + 1, n_columns_out)
    """
    rows = [[*first[:at], label, *first[at + 1 :]] for label in known]
    unknown = _UNKNOWN_TEXT if is_text else _UNKNOWN_NUMBER
    try:
        return _encoded(encoder, [*rows, [*first[:at], unknown, *first[at + 1 :]]])
    except ValueError:
        if not is_text:  # which nobody refuses before the graph
            raise NotImplementedError("an error for a number that is no label") from None
    table = _encoded(encoder, rows)  # an unknown text is refused before the graph
    own = (table != table[0]).any(axis=0)
    return np.vstack([table, np.where(own, 0.0, table[0])])


def _encoded(encoder: Any, rows: list[list[Any]]) -> Floats:
    names = getattr(encoder, "feature_names_in_", None)
    given: Any = np.array(rows, dtype=object)
    if names is not None:
        given = pd.DataFrame(given, columns=names)
    encoded = encoder.transform(given)
    dense = encoded.toarray() if hasattr(encoded, "toarray") else np.asarray(encoded)
    return np.asarray(dense, np.float64)


def _index(graph: Operators, column: str, known: npt.NDArray[Any], *, is_text: bool) -> str:
    """Add the place of each row's label among those that are known, or their number."""
    if is_text:
        told: Any = np.array(
            [[ABSENT_TEXT if each is None or is_nan(each) else str(each) for each in known]]
        )
    else:
        told = np.array([known], np.float64)
        if np.isnan(told).any():
            raise NotImplementedError("labels that are numbers, with one for what is missing")
    same = graph.cast(graph.add("Equal", column, told), TensorProto.DOUBLE)
    found = graph.add("Greater", graph.add("ReduceMax", same, [1], keepdims=0), 0.0)
    return graph.add("Where", found, graph.first_largest(same), np.array(len(known)))


BY_TYPE: dict[type, Conversion] = {
    OneHotEncoder: _encoder,
    OrdinalEncoder: _encoder,
    TargetEncoder: _encoder,
}
"""What adds a step's operators, by its type."""
