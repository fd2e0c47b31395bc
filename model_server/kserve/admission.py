"""What v2 requests take of memory where KServe makes objects of them, told before it does.

An object takes up to a hundred times the bytes that ask for it, and a list of complaints more. So
no request is parsed that is none by its outline, and each value in it is counted.
"""

from collections.abc import Iterator
from typing import Annotated

import msgspec
from kserve.protocol.grpc.grpc_predict_v2_pb2 import ModelInferRequest

from model_server.errors import BadRequest
from model_server.http.messages import Handler, Request, Response
from model_server.inference.in_flight import need

_MOST_TENSORS = 10_000
_MOST_DIMENSIONS = 64
"""NumPy's."""

_VALUE_BYTES = 150
"""What KServe takes for a value in JSON: parsed, copied, as an array, predicted and answered."""

_ASCII_COPIES, _COPIES = 2, 10
"""Of a body in JSON, and of its texts; where one character is wide, all of them are."""

_ELEMENT_BYTES = 64
"""What KServe takes for an element of a message, beside the message: listed, and as an array."""

_PARAMETER_BYTES = 300
_PARSED = 20
"""So many times its length a message takes, as integers of one byte are parsed to eight, twice."""

_RAW_COPIES = 3
_RAW_FIELD = 7

_BEFORE, _AFTER = "/v2/models/", "/infer"
_JSON_LENGTH = b"inference-header-content-length"

_Parameters = dict[str, str | int | float | bool] | None


class _Output(msgspec.Struct):
    name: str
    parameters: _Parameters = None


class _Input(msgspec.Struct):
    name: str
    shape: Annotated[list[int], msgspec.Meta(max_length=_MOST_DIMENSIONS)]
    datatype: str
    parameters: _Parameters = None
    data: msgspec.Raw = msgspec.Raw()


class _Outline(msgspec.Struct):
    inputs: Annotated[list[_Input], msgspec.Meta(max_length=_MOST_TENSORS)]
    id: str | None = None
    parameters: _Parameters = None
    outputs: Annotated[list[_Output], msgspec.Meta(max_length=_MOST_TENSORS)] | None = None


_OUTLINE = msgspec.json.Decoder(_Outline)


class InferBodies:
    """Handler before KServe's v2 routes, which sees what it takes to answer a body in JSON.

    Parameters
    ----------
    handler : handler
        That of KServe's routes.
    """

    def __init__(self, handler: Handler) -> None:
        self._handler = handler

    async def __call__(self, request: Request) -> Response:
        """Answer a request.

        Raises
        ------
        RequestError
        """
        path = request.path
        if request.body and path.startswith(_BEFORE) and path.endswith(_AFTER):
            _check(request)
        return await self._handler(request)


def parse(message: bytes) -> ModelInferRequest:
    """Return a message of gRPC's as what it is.

    Raises
    ------
    RequestError
    DecodeError
        If it is none.
    """
    raw_bytes = 0
    for number, (field, length_bytes) in enumerate(_fields(message), start=1):
        raw_bytes += length_bytes if field == _RAW_FIELD else 0
        if number > _MOST_TENSORS:
            raise BadRequest(f"a request has at most {_MOST_TENSORS} inputs and outputs")
    parsed_bytes = _RAW_COPIES * raw_bytes + _PARSED * (len(message) - raw_bytes)
    need(parsed_bytes)
    request = ModelInferRequest.FromString(message)
    elements, parameters = 0, len(request.parameters)
    for tensor in (*request.inputs, *request.outputs):
        parameters += len(tensor.parameters)
    for tensor in request.inputs:
        if len(tensor.shape) > _MOST_DIMENSIONS:
            raise BadRequest(f"an input has at most {_MOST_DIMENSIONS} dimensions")
        elements += sum(len(values) for _, values in tensor.contents.ListFields())
    need(parsed_bytes + _ELEMENT_BYTES * elements + _PARAMETER_BYTES * parameters)
    return request


def _check(request: Request) -> None:
    text = request.body
    length = request.header(_JSON_LENGTH)
    if length is not None and length.isdecimal():
        text = text[: int(length)]
    elif "json" not in (request.header(b"content-type") or "json"):
        return  # KServe reads nothing else
    values = text.count(b",") + text.count(b"[") + text.count(b"{")
    copies = _ASCII_COPIES if text.isascii() else _COPIES
    need(_VALUE_BYTES * values + copies * len(text))
    try:
        _OUTLINE.decode(text)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise BadRequest(f"not a v2 inference request: {error}") from error


def _fields(message: bytes) -> Iterator[tuple[int, int]]:
    """Yield number and length of each field of a message; of one that is none, those before."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        length_bytes = 0
        if tag & 7 == 2:
            length_bytes, at = _varint(message, at)
        elif tag & 7 == 0:
            _, at = _varint(message, at)
        else:
            length_bytes = {1: 8, 5: 4}.get(tag & 7, len(message))
        yield tag >> 3, length_bytes
        at += length_bytes


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """Return the number that stands there, and where it ends."""
    value = shift = 0
    for byte in message[at : at + 10]:
        value |= (byte & 127) << shift
        shift += 7
        at += 1
        if byte < 128:
            break
    return value, at
