"""The v2 protocol's named tensors, whatever carries them: rows out of them, and answers as them.

A model reads one matrix of numbers, or one tensor a feature. What a tensor holds has to be of its
datatype and to fill its shape: nothing is cut, rounded or turned about.

Source: the Open Inference Protocol, ``inference_rest.md`` and ``inference_grpc.md``.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from model_server.errors import BadRequest
from model_server.formats.codec import Steps
from model_server.formats.rows import Rows, at_once
from model_server.model.cells.cells import shown
from model_server.model.columns import Columns, Instances, fields, no_instances
from model_server.model.manifest import PREDICTION, Feature, Output
from model_server.model.outputs import Answers

INPUT = "input-0"
OUTPUT = "output-0"

BYTES = "BYTES"
DTYPES: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype("?"),
    **{f"UINT{8 * width}": np.dtype(f"<u{width}") for width in (1, 2, 4, 8)},
    **{f"INT{8 * width}": np.dtype(f"<i{width}") for width in (1, 2, 4, 8)},
    **{f"FP{8 * width}": np.dtype(f"<f{width}") for width in (2, 4, 8)},
    BYTES: np.dtype("O"),
}
"""NumPy's own of each datatype; of texts that of objects."""

MOST_TENSORS = 10_000
"""That a request has, and outputs that it asks for."""

MOST_DIMENSIONS = 64
"""NumPy's."""

BLOCK_CELLS = 4096

_INPUT_TYPES = {"boolean": "BOOL", "integer": "INT64", "number": "FP64", "vector": "FP64"}
"""Those of the other features are texts."""

_OUTPUT_TYPES = {"b": "BOOL", "f": "FP64", "i": "INT64"}
_DATATYPES = {"boolean": "BOOL", "integer": "INT64", "number": "FP64", "text": BYTES}

Cells = npt.NDArray[Any] | list[Any]


class Data(Protocol):
    """What a tensor holds, as it came."""

    def check(self, tensor: "InputTensor") -> None:
        """See that it may fill the tensor's shape, before room is made for that.

        Raises
        ------
        BadRequest
        """
        ...

    def blocks(self, tensor: "InputTensor") -> Iterator[Cells]:
        """Yield its values in order, some at a time; the last dimension is not parted.

        Raises
        ------
        BadRequest
            If they are not of the tensor's datatype, or are not as many as its shape says.
        """
        ...


@dataclass(slots=True)
class InputTensor:
    """A tensor of a request.

    Attributes
    ----------
    size : int
        How many values its shape has.
    """

    name: str
    datatype: str
    shape: list[int]
    data: Data
    size: int = field(init=False)

    def __post_init__(self) -> None:
        self.size = math.prod(self.shape)

    @property
    def width(self) -> int:
        """How many values a row has."""
        return self.shape[1] if len(self.shape) > 1 else 1

    @property
    def block_size(self) -> int:
        """How many values are read at a time: those of whole rows."""
        return max(BLOCK_CELLS // self.width, 1) * self.width

    @property
    def dtype(self) -> np.dtype[Any]:
        """That of its datatype.

        Raises
        ------
        BadRequest
            If it is none.
        """
        found = DTYPES.get(self.datatype)
        if found is None:
            raise self.wrong(f"datatype {shown(self.datatype)} is none of {', '.join(DTYPES)}")
        return found

    def check(self) -> None:
        """See that the shape is one, and that the data may fill it.

        Raises
        ------
        BadRequest
        """
        if self.shape and min(self.shape) < 0:
            raise self.wrong(f"its shape {self.shape} has a negative dimension")
        self.data.check(self)

    def numbers(self, values: Sequence[Any]) -> npt.NDArray[Any]:
        """Return values of Python's as this datatype has them.

        Raises
        ------
        BadRequest
            If one is beyond it.
        """
        dtype = self.dtype
        try:
            if dtype.kind != "f" or dtype.itemsize == 8:
                return np.array(values, dtype)
            with np.errstate(over="ignore"):  # what is infinite then is refused as that
                return np.array(values, dtype)
        except OverflowError:
            raise self.wrong(f"a value is beyond {self.datatype}") from None

    def wrong(self, problem: str) -> BadRequest:
        """Return the error of this tensor."""
        return BadRequest(f"input {shown(self.name)}: {problem}")

    def wrong_size(self, given: int, what: str = "values") -> BadRequest:
        """Return the error of one that does not fill its shape, or overflows it."""
        return self.wrong(
            f"{given} {what} given, and {self.datatype} of shape {self.shape} has {self.size}"
        )


@dataclass(slots=True)
class InferRequest:
    """A request, whatever carried it.

    Attributes
    ----------
    inputs : list of InputTensor
    asked : dict of str to bool
        The outputs that it names, and whether each comes in binary; none for the usual ones.
    id : str
    binary : bool
        Whether outputs come in binary of which nothing is said.
    """

    inputs: list[InputTensor]
    asked: dict[str, bool] = field(default_factory=dict)
    id: str = ""
    binary: bool = False


class Tensor(NamedTuple):
    """An output, by the name that it was asked for."""

    name: str
    datatype: str
    array: npt.NDArray[Any]


class TensorReader:
    """Read a matrix, or a tensor a feature."""

    def read(self, request: InferRequest, columns: Columns) -> Instances:
        """See `Reader.read`."""
        return at_once(self.steps(request, columns))

    def asked(self, request: InferRequest) -> list[str]:
        """See `Reader.asked`."""
        return [output_of(name) for name in request.asked]

    def steps(self, request: InferRequest, columns: Columns) -> Steps:
        """See `Reader.steps`."""
        inputs = request.inputs
        if len(inputs) == 1 and inputs[0].name == INPUT and INPUT not in columns.names:
            return _steps_of_matrix(inputs[0], columns)
        return _steps_of_columns(_in_order(inputs, columns), columns)


def written(answers: Answers, request: InferRequest) -> list[Tensor]:
    """Return the tensors that answer a request, in the order of the answers."""
    names = {output_of(name): name for name in request.asked} if request.asked else {}
    return [
        Tensor(names.get(name) or name_of(name), _OUTPUT_TYPES.get(y.dtype.kind, BYTES), y)
        for name, y in answers.items()
    ]


def describe_inputs(columns: Columns) -> list[dict[str, Any]]:
    """Describe the tensors of a request, as the metadata of a model do."""
    if columns.only_numbers:
        return [{"name": INPUT, "datatype": "FP64", "shape": [-1, len(columns.names)]}]
    return [
        {
            "name": feature.name,
            "datatype": _INPUT_TYPES.get(feature.type, BYTES),
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


def _in_order(inputs: Sequence[InputTensor], columns: Columns) -> list[InputTensor]:
    """Return the tensor of each feature.

    Raises
    ------
    BadRequest
        If one is missing, twice there or unknown.
    """
    by_name = {tensor.name: tensor for tensor in inputs}
    for name in by_name:
        if name not in columns.names and not columns.ignores_surplus:
            raise BadRequest(f"input {shown(name)} is no feature of the model; {_takes(columns)}")
    for name in columns.names:
        if name not in by_name:
            raise BadRequest(f"input {name!r} is missing; {_takes(columns)}", feature=name)
    if len(inputs) > len(by_name):
        raise BadRequest("two inputs have the same name")
    return [by_name[name] for name in columns.names]


def _takes(columns: Columns) -> str:
    n_features = len(columns.names)
    return (
        f"send {INPUT!r} of shape [rows, {n_features}], or one input a feature: "
        f"{', '.join(columns.names)}"
    )


def _steps_of_matrix(tensor: InputTensor, columns: Columns) -> Steps:
    n_features, shape = len(columns.names), tensor.shape
    if tensor.dtype.kind not in "iuf":
        raise tensor.wrong(f"a matrix holds numbers, not {tensor.datatype}")
    if shape[1:] != [n_features] and not (len(shape) == 1 and n_features == 1):
        raise tensor.wrong(f"its shape is {shape}, not [rows, {n_features}]")
    tensor.check()
    if not tensor.size:
        raise no_instances()
    rows = None
    for block in tensor.data.blocks(tensor):
        numbers = block.reshape(-1, n_features)  # type: ignore[union-attr]  # of no texts
        X = columns.read_matrix(numbers, rows.next if rows else 1)
        if len(X) == shape[0]:
            return X
        rows = rows or Rows(columns, tensor.size)
        rows.add(X)
        yield
    return rows.joined()  # type: ignore[union-attr]  # a tensor that fills its shape has blocks


def _steps_of_columns(inputs: Sequence[InputTensor], columns: Columns) -> Steps:
    for feature, tensor in zip(columns.features, inputs, strict=True):
        _check(feature, tensor)
    n_rows = inputs[0].shape[0]
    for tensor in inputs:
        if tensor.shape[0] != n_rows:
            raise BadRequest(
                f"input {tensor.name!r} has {tensor.shape[0]} rows, and {inputs[0].name!r} "
                f"has {n_rows}"
            )
    if not n_rows:
        raise no_instances()
    X = columns.empty(n_rows)
    for place, (tensor, column) in enumerate(zip(inputs, fields(X), strict=True)):
        row = 0
        for block in tensor.data.blocks(tensor):
            part = _part(columns, place, block, row + 1)
            column[row : row + len(part)] = part
            row += len(part)
            if row < n_rows:
                yield
    return X


def _check(feature: Feature, tensor: InputTensor) -> None:
    """See that a tensor has a value a row, or a vector's values."""
    is_vector = bool(feature.length)
    if tensor.shape[1:] != [feature.length or 1] and (len(tensor.shape) != 1 or is_vector):
        rows = f"[rows, {feature.length}]" if is_vector else "[rows] or [rows, 1]"
        raise tensor.wrong(f"its shape is {tensor.shape}, not {rows}")
    tensor.check()


def _part(columns: Columns, place: int, block: Cells, first: int) -> npt.NDArray[Any]:
    """Read a block of a feature's values: numbers at once, others one by one."""
    feature, cells = columns.features[place], block
    is_numeric = isinstance(block, np.ndarray) and block.dtype.kind in "iuf"
    if feature.length:
        cells = np.reshape(block, (-1, feature.length)).tolist()
    elif feature.type != "number" and isinstance(block, np.ndarray):
        cells = block.tolist()
    return columns.read_column(place, cells, first, usual=is_numeric or feature.type != "number")
