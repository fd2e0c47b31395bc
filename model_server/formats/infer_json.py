"""The v2 protocol over REST: requests in JSON, with tensors in binary behind it, and answers.

Source: the Open Inference Protocol, ``inference_rest.md``, and Triton's
``extension_binary_data.md``.
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
import orjson

from model_server.errors import BadRequest
from model_server.formats import json_text, media_types, plain_rows
from model_server.formats.binary_tensors import BinaryData, binary
from model_server.formats.codec import BLOCK_BYTES, NUMBER_BYTES
from model_server.formats.json_text import ListText
from model_server.formats.plain_rows import DECODE_ERRORS
from model_server.formats.tensors import (
    BYTES,
    MOST_DIMENSIONS,
    MOST_TENSORS,
    Cells,
    InferRequest,
    InputTensor,
    Tensor,
    written,
)
from model_server.model.cells.cells import shown
from model_server.model.outputs import Answers

_NO_DATA = msgspec.Raw()
_LIST_OF_LISTS = re.compile(rb"\[[ \t\n\r]*\[")
_DIMENSION = Annotated[int, msgspec.Meta(ge=-(2**62), le=2**62)]
_VALUE_BYTES = 256 * 1024
"""No value that is an object means anything, and no longer one is looked at."""

_ITEMS: dict[str, type] = {"b": bool, "f": float, "i": int, "u": int, "O": str}
_FLAT = {kind: msgspec.json.Decoder(list[item]) for kind, item in _ITEMS.items()}  # type: ignore[valid-type]
_NESTED = {
    kind: msgspec.json.Decoder(list[list[item]])  # type: ignore[valid-type]
    for kind, item in _ITEMS.items()
}
_TYPES = {"b": (bool,), "f": (float, int), "i": (int,), "u": (int,), "O": (str,)}


class _BinaryFlags(msgspec.Struct):
    binary_data: bool | None = None
    binary_data_output: bool | None = None
    binary_data_size: Annotated[int, msgspec.Meta(ge=0)] | None = None


class _Output(msgspec.Struct):
    name: str
    parameters: _BinaryFlags | None = None


class _Input(msgspec.Struct):
    name: str
    shape: Annotated[list[_DIMENSION], msgspec.Meta(min_length=1, max_length=MOST_DIMENSIONS)]
    datatype: str
    data: msgspec.Raw = _NO_DATA
    parameters: _BinaryFlags | None = None


class _Request(msgspec.Struct):
    inputs: Annotated[list[_Input], msgspec.Meta(min_length=1, max_length=MOST_TENSORS)]
    id: str | None = None
    parameters: _BinaryFlags | None = None
    outputs: Annotated[list[_Output], msgspec.Meta(max_length=MOST_TENSORS)] | None = None


_REQUEST = msgspec.json.Decoder(_Request)


def read(body: bytes, json_bytes: int | None = None) -> InferRequest:
    """Read a request; what its tensors hold is looked at when they are read.

    Parameters
    ----------
    body : bytes
    json_bytes : int, optional
        How much of it is JSON, if binary follows.

    Raises
    ------
    BadRequest
    """
    text: bytes | memoryview = body
    if json_bytes is not None:
        if json_bytes > len(body):
            raise BadRequest(
                f"Inference-Header-Content-Length is {json_bytes}, and the body has {len(body)}"
            )
        text = memoryview(body)[:json_bytes]
    try:
        told = _REQUEST.decode(text)
    except msgspec.ValidationError as error:
        raise BadRequest(f"not a v2 inference request: {error}") from None
    except DECODE_ERRORS as error:
        raise json_text.not_json(bytes(text), error) from None
    binary = bool(told.parameters and told.parameters.binary_data_output)
    asked = {output.name: _is_binary(output, binary=binary) for output in told.outputs or ()}
    rest = memoryview(body)[len(text) :] if json_bytes is not None else None
    return InferRequest(_inputs(told.inputs, rest), asked, told.id or "", binary)


def _is_binary(output: _Output, *, binary: bool) -> bool:
    flag = output.parameters.binary_data if output.parameters else None
    return binary if flag is None else flag


def _inputs(told: Sequence[_Input], rest: memoryview | None) -> list[InputTensor]:
    """Return the tensors, those in binary with their part of what follows the JSON."""
    inputs, at = [], 0
    for each in told:
        tensor = InputTensor(each.name, each.datatype, each.shape, _NOTHING)
        size = each.parameters.binary_data_size if each.parameters else None
        if size is not None:
            if memoryview(each.data):
                raise tensor.wrong("it has both data and a binary_data_size")
            if rest is None:
                raise tensor.wrong("it has a binary_data_size, and no binary follows the JSON")
            if at + size > len(rest):
                raise tensor.wrong(f"{size} bytes announced, and {len(rest) - at} follow")
            tensor.data = BinaryData(rest[at : at + size])
            at += size
        elif not memoryview(each.data):
            raise tensor.wrong("it has no data")
        else:
            tensor.data = _JSONData(each.data)
        inputs.append(tensor)
    if rest is not None and at < len(rest):
        raise BadRequest(f"{len(rest) - at} bytes follow the JSON that no input announces")
    return inputs


class _JSONData:
    """A list of values, or one of lists of them, one a row."""

    def __init__(self, text: msgspec.Raw) -> None:
        self._text = bytes(text)
        self._is_nested = bool(_LIST_OF_LISTS.match(self._text))

    def check(self, tensor: InputTensor) -> None:
        """See `Data.check`."""
        if not self._text.startswith(b"["):
            raise tensor.wrong("its data is no list")
        if tensor.size > len(self._text) // 2 + 1:
            raise tensor.wrong(f"its data has not the {tensor.size} values of shape {tensor.shape}")
        if self._is_nested and len(tensor.shape) != 2:
            raise tensor.wrong(f"its data is a list of lists, and its shape {tensor.shape}")

    def blocks(self, tensor: InputTensor) -> Iterator[Cells]:
        """See `Data.blocks`."""
        if len(self._text) <= BLOCK_BYTES:
            values = self._values(tensor, self._text, 0)
            if len(values) != tensor.size:
                raise tensor.wrong_size(len(values))
            yield _array(tensor, values)
            return
        left: list[Any] = []
        count = 0
        for text in self._texts():
            values = self._values(tensor, text, count)
            count += len(values)
            if count > tensor.size:
                break
            values = left + values if left else values
            whole = len(values) // tensor.width * tensor.width
            left = values[whole:]
            yield _array(tensor, values[:whole] if left else values)
        if count != tensor.size:
            raise tensor.wrong_size(count)

    def _texts(self) -> Iterator[bytes]:
        """Yield lists with some of a long one's values each."""
        text = self._text
        if self._is_nested or b'"' in text:
            yield from self._rows()
        else:
            begin, end = 1, len(text) - 1
            while begin < end:
                cut = text.find(b",", begin + BLOCK_BYTES)
                cut = end if cut < 0 else cut
                yield b"[%b]" % text[begin:cut]
                begin = cut + 1

    def _rows(self) -> Iterator[bytes]:
        """Yield the same of rows, or texts."""
        found, begin = ListText(self._text, self._text, 1, named=False, checked=True), 1
        while True:
            block = found.block(begin, BLOCK_BYTES, len(self._text))
            if block is None and not found.ends(begin):
                block = found.value(begin, _VALUE_BYTES)
                if block is None:
                    raise BadRequest(f"a value is longer than {_VALUE_BYTES} bytes")
            if block is None:
                return
            yield b"[%b]" % block.rows
            begin = block.end

    def _values(self, tensor: InputTensor, text: bytes, first: int) -> list[Any]:
        """Return a list's values, of what JSON has for the datatype; those of rows in a row."""
        kind = tensor.dtype.kind
        try:
            if not self._is_nested:
                values: list[Any] = _FLAT[kind].decode(text)
                return values
            rows = _NESTED[kind].decode(text)
        except msgspec.ValidationError:
            try:
                rows = orjson.loads(text)
            except orjson.JSONDecodeError:  # it is JSON, but for what a double can't hold
                raise tensor.wrong("a value is beyond any number") from None
            if not self._is_nested:
                return _checked(tensor, rows, first)
        return _checked_rows(tensor, rows, first)


def _checked_rows(tensor: InputTensor, rows: list[Any], first: int) -> list[Any]:
    """Return the values of rows that are as long as the shape says."""
    values: list[Any] = []
    for row in rows:
        if not isinstance(row, list) or len(row) != tensor.width:
            given = f"{len(row)} values" if isinstance(row, list) else shown(row)
            at = (first + len(values)) // tensor.width + 1
            raise tensor.wrong(f"row {at} of its data is {given}, and its shape {tensor.shape}")
        values += row
    return _checked(tensor, values, first)


def _checked(tensor: InputTensor, values: list[Any], first: int) -> list[Any]:
    """Return values that are of the datatype; ``null`` is NaN where numbers have a fraction."""
    kind = tensor.dtype.kind
    if all(type(value) in _TYPES[kind] for value in values):
        return values
    return [
        _value(tensor, value, kind, place) for place, value in enumerate(values, start=first + 1)
    ]


def _value(tensor: InputTensor, value: Any, kind: str, place: int) -> Any:
    if value is None and kind == "f":
        return math.nan
    if type(value) in _TYPES[kind]:
        return value
    if kind in "iu" and type(value) is float and value.is_integer():
        return int(value)
    raise tensor.wrong(f"value {place} is {shown(value)}, not {tensor.datatype}")


def _array(tensor: InputTensor, values: list[Any]) -> Cells:
    return values if tensor.datatype == BYTES else tensor.numbers(values)


@dataclass(slots=True)
class InferWriter:
    """Write the answer to a request.

    Parameters
    ----------
    request : InferRequest
    model_name, model_version : str
    """

    request: InferRequest
    model_name: str
    model_version: str
    media_type = media_types.JSON
    number_bytes = NUMBER_BYTES

    def write(self, answers: Answers) -> tuple[bytes, int | None]:
        """See `Writer.write`.

        Returns
        -------
        body : bytes
        json_bytes : int or None
            How much of it is JSON, where binary follows.
        """
        request, outputs, parts = self.request, [], []
        for tensor in written(answers, request):
            told: dict[str, Any] = {
                "name": tensor.name,
                "datatype": tensor.datatype,
                "shape": tensor.array.shape,
            }
            if request.asked.get(tensor.name, request.binary):
                part = binary(tensor)
                told["parameters"] = {"binary_data_size": len(part)}
                parts.append(part)
            else:
                told["data"] = _data(tensor)
            outputs.append(told)
        answer: dict[str, Any] = {
            "model_name": self.model_name,
            "model_version": self.model_version,
        }
        if request.id:
            answer["id"] = request.id
        body = plain_rows.dumps({**answer, "outputs": outputs})
        return (b"".join([body, *parts]), len(body)) if parts else (body, None)


def _data(tensor: Tensor) -> Any:
    """Return values in row-major order: numbers as they are, without an object for each."""
    values = tensor.array.ravel()
    return list(map(str, values)) if tensor.datatype == BYTES else values


_NOTHING = BinaryData(b"")
