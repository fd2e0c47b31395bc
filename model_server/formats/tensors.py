"""Named tensors, as the v2 protocol has them: one matrix of numbers, or one column a feature."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from model_server.errors import BadRequest
from model_server.formats.codec import Steps
from model_server.formats.rows import Rows, at_once
from model_server.model.columns import Columns, Instances
from model_server.model.manifest import PREDICTION, Feature, Output
from model_server.model.outputs import Answers

INPUT = "input-0"
OUTPUT = "output-0"

_INPUT_TYPES = {"boolean": "BOOL", "integer": "INT64", "number": "FP64", "vector": "FP64"}
"""Those of the other features are texts."""

_OUTPUT_TYPES = {"b": "BOOL", "f": "FP64", "i": "INT64"}
_TEXTS = "BYTES"
_DATATYPES = {"boolean": "BOOL", "integer": "INT64", "number": "FP64", "text": _TEXTS}

_BLOCK_CELLS = 4096
_SHOWN = 41
"""More numbers than a message shows."""


@dataclass(frozen=True)
class Tensor:
    """A named array with the protocol's own name of its dtype."""

    name: str
    datatype: str
    array: npt.NDArray[Any]


class TensorReader:
    """Read a matrix, or a column a feature."""

    def read(self, arrays: Mapping[str, npt.NDArray[Any]], columns: Columns) -> Instances:
        """See `Reader.read`.

        Parameters
        ----------
        arrays : mapping of str to ndarray
        columns : Columns
        """
        return at_once(self.steps(arrays, columns))

    def asked(self, _: object) -> Sequence[str]:
        """See `Reader.asked`; the arrays name no outputs."""
        return ()

    def steps(self, arrays: Mapping[str, npt.NDArray[Any]], columns: Columns) -> Steps:
        """See `Reader.steps`."""
        if len(arrays) == 1 and columns.names != tuple(arrays):
            return _steps_of_matrix(_numbers(*arrays.values()), columns)
        order = columns.order(list(arrays))
        given = list(arrays.values())
        return _steps_of_columns(
            [
                _column(feature, given[place])
                for feature, place in zip(columns.features, order, strict=True)
            ],
            columns,
        )


class TensorWriter:
    """Write a tensor an output."""

    def write(self, answers: Answers) -> list[Tensor]:
        """See `Writer.write`."""
        return [
            Tensor(
                name,
                _OUTPUT_TYPES.get(y.dtype.kind, _TEXTS),
                y.astype(object) if y.dtype.kind == "U" else y,
            )
            for name, y in answers.items()
        ]


def describe_inputs(columns: Columns) -> list[dict[str, Any]]:
    """Describe the tensors of a request, as the metadata of a model do."""
    if columns.only_numbers:
        return [{"name": INPUT, "datatype": "FP64", "shape": [-1, len(columns.names)]}]
    return [
        {
            "name": feature.name,
            "datatype": _INPUT_TYPES.get(feature.type, _TEXTS),
            "shape": [-1, feature.length or 1],
        }
        for feature in columns.features
    ]


def describe_outputs(outputs: Iterable[Output]) -> list[dict[str, Any]]:
    """Describe the tensors of an answer."""
    return [
        {
            "name": name_of(output.name),
            "datatype": _DATATYPES[output.type],
            "shape": [-1, *output.shape],
        }
        for output in outputs
    ]


def name_of(output: str) -> str:
    """Return the name of an output's tensor."""
    return OUTPUT if output == PREDICTION else output


def output_of(name: str) -> str:
    """Return the output that a tensor of this name is; the prediction's own name is one, too."""
    return PREDICTION if name == OUTPUT else name


def _numbers(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if array.dtype.kind not in "iuf":
        raise BadRequest(f"a single input holds numbers, not {array.dtype}")
    return array


def _steps_of_matrix(array: npt.NDArray[Any], columns: Columns) -> Steps:
    array, n_features = np.atleast_1d(array), len(columns.names)
    if array.ndim == 1 and n_features == 1:
        array = array.reshape(-1, 1)
    rows = Rows(columns, array.size)
    if len(array) and array.ndim > 1 and array.shape[1] != n_features:
        raise columns.wrong_count(1, array.shape[1])
    if array.ndim != 2:
        rows.add(columns.read(_first_row(array)))  # which does not fit
    for block in _blocks(len(array), columns):
        rows.add(columns.read_matrix(array[block], rows.next))
        yield
    return rows.joined()


def _steps_of_columns(arrays: Sequence[npt.NDArray[Any]], columns: Columns) -> Steps:
    n_rows = len(arrays[0])
    for name, array in zip(columns.names, arrays, strict=True):
        if len(array) != n_rows:
            raise BadRequest(
                f"input {name!r} has {len(array)} rows, and {columns.names[0]!r} has {n_rows}"
            )
    rows = Rows(columns, n_rows * len(arrays))
    for block in _blocks(n_rows, columns):
        cells = [
            _cells(name, array[block]) for name, array in zip(columns.names, arrays, strict=True)
        ]
        rows.add(columns.read(zip(*cells, strict=True), rows.next))
        yield
    return rows.joined()


def _blocks(n_rows: int, columns: Columns) -> Iterator[slice]:
    step = max(_BLOCK_CELLS // len(columns.names), 1)
    for begin in range(0, n_rows, step):
        yield slice(begin, begin + step)


def _first_row(array: npt.NDArray[Any]) -> list[Any]:
    """Return the first row, and of a cell that is an array no more than is shown of it."""
    shown: tuple[Any, ...] = (..., *[slice(_SHOWN)] * (array.ndim - 2))
    first: list[Any] = array[:1][shown].tolist()
    return first


def _column(feature: Feature, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return one cell a row: a value, or the list that a vector is."""
    width = feature.length or 1
    if array.ndim == 2 and array.shape[1] == width:
        return array if feature.length else array.reshape(-1)
    if array.ndim == 1 and not feature.length:
        return array
    expected = f"[rows, {width}]" if feature.length else "[rows] or [rows, 1]"
    raise BadRequest(f"input {feature.name!r} has shape {list(array.shape)}, not {expected}")


def _cells(name: str, array: npt.NDArray[Any]) -> list[Any]:
    return [_text(name, cell) if isinstance(cell, bytes) else cell for cell in array.tolist()]


def _text(name: str, cell: bytes) -> str:
    try:
        return cell.decode()
    except UnicodeDecodeError as error:
        raise BadRequest(f"input {name!r} is not UTF-8: {error}") from None
