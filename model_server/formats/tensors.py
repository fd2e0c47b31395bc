"""Named tensors, as the v2 protocol has them: one matrix of numbers, or one column a feature."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from model_server.errors import BadRequest
from model_server.model.columns import Columns, Matrix
from model_server.model.signature import Output

INPUT = "input-0"
OUTPUT = "output-0"

_INPUT_TYPES = {"number": "FP64", "string": "BYTES"}
_OUTPUT_TYPES = {"f": "FP64", "i": "INT64", "O": "BYTES", "U": "BYTES"}


@dataclass(frozen=True)
class Tensor:
    """A named array with the protocol's own name of its dtype."""

    name: str
    datatype: str
    array: npt.NDArray[Any]


class TensorReader:
    """Read a matrix, or a column a feature."""

    def read(self, arrays: Mapping[str, npt.NDArray[Any]], columns: Columns) -> Matrix:
        """See `Reader.read`.

        Parameters
        ----------
        arrays : mapping of str to ndarray
        columns : Columns
        """
        if len(arrays) == 1 and columns.names != tuple(arrays):
            return columns.matrix_of_numbers(_numbers(*arrays.values()))
        order = columns.order(list(arrays))
        cells = [_cells(name, array) for name, array in arrays.items()]
        try:
            return columns.matrix(zip(*(cells[place] for place in order), strict=True))
        except ValueError as error:
            raise BadRequest(str(error)) from error


class TensorWriter:
    """Write one tensor."""

    def write(self, y: npt.NDArray[Any]) -> Tensor:
        """See `Writer.write`."""
        array = y.astype(object) if y.dtype.kind == "U" else y
        return Tensor(OUTPUT, _OUTPUT_TYPES[y.dtype.kind], array)


def describe_inputs(columns: Columns) -> list[dict[str, Any]]:
    """Describe the tensors of a request, as the metadata of a model do."""
    if columns.only_numbers:
        return [{"name": INPUT, "datatype": "FP64", "shape": [-1, len(columns.names)]}]
    return [
        {"name": feature.name, "datatype": _INPUT_TYPES[feature.type], "shape": [-1, 1]}
        for feature in columns.features
    ]


def describe_outputs(output: Output) -> list[dict[str, Any]]:
    """Describe the tensor of an answer."""
    datatype = _OUTPUT_TYPES[output.dtype.kind]
    return [{"name": OUTPUT, "datatype": datatype, "shape": [-1, *output.shape]}]


def _numbers(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if array.dtype.kind not in "iuf":
        raise BadRequest(f"a single input holds numbers, not {array.dtype}")
    return array


def _cells(name: str, array: npt.NDArray[Any]) -> list[Any]:
    if array.ndim > 2 or (array.ndim == 2 and array.shape[1] != 1):
        raise BadRequest(f"input {name!r} has shape {list(array.shape)}, not [rows] or [rows, 1]")
    cells = array.reshape(-1).tolist()
    return [_text(name, cell) if isinstance(cell, bytes) else cell for cell in cells]


def _text(name: str, cell: bytes) -> str:
    try:
        return cell.decode()
    except UnicodeDecodeError as error:
        raise BadRequest(f"input {name!r} is not UTF-8: {error}") from None
