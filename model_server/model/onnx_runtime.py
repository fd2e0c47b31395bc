"""A model as an ONNX graph, which ONNX Runtime computes.

ONNX Runtime is imported only where there is a graph.
"""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from model_server.model import containers
from model_server.model.columns import Instances, fields
from model_server.model.manifest import PREDICTION, Feature, Output
from model_server.model.outputs import Answers, standard
from model_server.model.precision import cast, cast_feature
from model_server.model.runtime import Runtime
from model_server.model.tokens import Tokenizer

_DTYPES: dict[str, Any] = {
    "tensor(double)": np.float64,
    "tensor(float)": np.float32,
    "tensor(int64)": np.int64,
}
"""Of a graph's inputs that are no texts."""

_COUNTS_AT_A_TIME = 2_000_000
"""The most counts of tokens that a graph makes at once, each of which takes some 30 bytes there."""

_ROWS_AT_A_TIME = 1024
"""A graph is given no more, as it may take so many times what its rows do: a number of each tree
for each class, a distance to each row of the training."""

ABSENT_TEXT = "\ufdd0"
"""What a graph is given for a text that is missing: a noncharacter (Unicode, 23.7)."""

_PREDICTION = (Output(name=PREDICTION),)


class OnnxRuntime(Runtime):
    """A graph in ONNX Runtime, on one thread.

    A graph reads either one matrix or one column a feature, each under the feature's name.

    Parameters
    ----------
    model : bytes
        A serialized ONNX model.
    features : sequence of Feature
    outputs : sequence of Output, optional
        What it gives, in its order; by default a number or label, its first.
    """

    name = "onnxruntime"
    merges = True
    unpickles = False

    def __init__(
        self,
        model: bytes,
        features: Sequence[Feature],
        outputs: Sequence[Output] = _PREDICTION,
    ) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 4  # what it raises tells the same
        options.enable_cpu_mem_arena = False  # it would keep what the longest request took
        options.add_session_config_entry(
            "session.load_model_format", "ONNX"
        )  # and no other of its own
        self._session = onnxruntime.InferenceSession(
            model, options, providers=["CPUExecutionProvider"]
        )
        self.concurrency = len(os.sched_getaffinity(0))
        self._features = tuple(features)
        self._names = [feature.name for feature in features]
        self._inputs = {node.name: node.type for node in self._session.get_inputs()}
        self._matrix: tuple[str, Any] | None = None
        if list(self._inputs) != self._names:
            [(input_name, kind)] = self._inputs.items()
            self._matrix = input_name, _DTYPES[kind]
        read_as = self._inputs if self._matrix is None else dict.fromkeys(self._names, kind)
        self.narrow = frozenset(
            name for name in read_as if _DTYPES.get(read_as[name]) is np.float32
        )
        self._tokenizers = {
            feature.name: Tokenizer(feature.tokens, ABSENT_TEXT)
            for feature in features
            if feature.tokens is not None
        }
        known = max((each.tokens.n_known for each in features if each.tokens), default=1)
        self._rows_at_a_time = max(min(_ROWS_AT_A_TIME, _COUNTS_AT_A_TIME // known), 1)
        self._outputs = {output.name: output for output in outputs}
        self._nodes = dict(
            zip(self._outputs, (node.name for node in self._session.get_outputs()), strict=False)
        )

    @property
    def n_outputs(self) -> int:
        """How many outputs the graph has."""
        return len(self._session.get_outputs())

    def answer(self, X: Instances, names: Sequence[str]) -> Answers:
        """See `Runtime.answer`."""
        nodes, feed, n_rows = [self._nodes[name] for name in names], self._feed(X), len(X)
        if n_rows <= self._rows_at_a_time:
            values = self._session.run(nodes, feed)
        else:
            values = self._in_parts(nodes, feed, n_rows)
        outputs = self._outputs
        return {
            name: _typed(np.asarray(each), n_rows, outputs[name])
            for name, each in zip(names, values, strict=True)
        }

    def _in_parts(
        self, nodes: list[str], feed: dict[str, npt.NDArray[Any]], n_rows: int
    ) -> list[npt.NDArray[Any]]:
        step = self._rows_at_a_time
        parts = [
            self._session.run(nodes, {name: rows[at : at + step] for name, rows in feed.items()})
            for at in range(0, n_rows, step)
        ]
        return [np.concatenate(each) for each in zip(*parts, strict=True)]

    def _feed(self, X: Instances) -> dict[str, npt.NDArray[Any]]:
        if self._matrix is not None:
            name, dtype = self._matrix
            return {name: cast(containers.array(X), dtype, self._names)}
        columns = zip(self._names, fields(X), strict=True)
        return {name: self._tensor(name, column) for name, column in columns}

    def _tensor(self, name: str, column: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return a feature's column as the graph reads it."""
        if name in self._tokenizers:
            return self._tokenizers[name].array(_texts(column)[:, 0])
        dtype = _DTYPES.get(self._inputs[name])
        return _texts(column) if dtype is None else cast_feature(column, dtype, name)


def _typed(values: npt.NDArray[Any], n_rows: int, output: Output) -> npt.NDArray[Any]:
    """Return what a graph gives in the shape and the type that the estimator has."""
    values = values.reshape(n_rows, *output.shape)
    if output.type == "number" and values.dtype.kind in "fi":
        return values.astype(np.float64, copy=False)
    if output.type == "boolean":
        return values.astype(np.bool_)
    return standard(values)


def _texts(column: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return texts, none of them missing, of shape (n_rows, 1)."""
    column = column.reshape(len(column), 1)
    absent = column == None  # noqa: E711 - of each cell
    return np.where(absent, ABSENT_TEXT, column) if absent.any() else column
