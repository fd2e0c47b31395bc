"""The v2 protocol over gRPC: the messages of ``ModelInfer``, read and written.

A value takes up to a hundred times the bytes that ask for it, so each is counted before any is
parsed.

Source: the Open Inference Protocol, ``inference_grpc.md`` and ``grpc_predict_v2.proto``.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import DecodeError
from kserve.protocol.grpc.grpc_predict_v2_pb2 import ModelInferRequest, ModelInferResponse

from model_server.errors import BadRequest
from model_server.formats.binary_tensors import BinaryData, binary, decoded
from model_server.formats.codec import NUMBER_BYTES
from model_server.formats.tensors import (
    BYTES,
    MOST_DIMENSIONS,
    MOST_TENSORS,
    Cells,
    InferRequest,
    InputTensor,
    written,
)
from model_server.inference.in_flight import need
from model_server.model.outputs import Answers

_PARAMETER_BYTES = 300
_PARSED = 20
"""So many times its length a message takes, as integers of one byte are parsed to eight, twice."""

_RAW_COPIES = 3
_RAW_FIELD = 7

_FIELDS = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    "INT64": "int64_contents",
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    BYTES: "bytes_contents",
}
"""Where a message lists the values of a datatype; those of FP16 come as bytes alone."""


def parse(message: bytes) -> ModelInferRequest:
    """Return a message as what it is.

    Raises
    ------
    RequestError
    """
    raw_bytes = 0
    for number, (field, length_bytes) in enumerate(_fields(message), start=1):
        raw_bytes += length_bytes if field == _RAW_FIELD else 0
        if number > MOST_TENSORS:
            raise BadRequest(f"a request has at most {MOST_TENSORS} inputs and outputs")
    parsed_bytes = _RAW_COPIES * raw_bytes + _PARSED * (len(message) - raw_bytes)
    need(parsed_bytes)
    try:
        request = ModelInferRequest.FromString(message)
    except DecodeError as error:
        raise BadRequest("the message is not what its call takes") from error
    parameters = len(request.parameters)
    for tensor in (*request.inputs, *request.outputs):
        parameters += len(tensor.parameters)
    need(parsed_bytes + _PARAMETER_BYTES * parameters)
    return request


def read(message: ModelInferRequest) -> InferRequest:
    """Read a request; what its tensors hold is looked at when they are read.

    Raises
    ------
    BadRequest
    """
    if not message.inputs:
        raise BadRequest("the request has no inputs")
    raw = message.raw_input_contents
    if raw and len(raw) != len(message.inputs):
        raise BadRequest(f"{len(message.inputs)} inputs, and {len(raw)} raw_input_contents")
    inputs = []
    for place, told in enumerate(message.inputs):
        if len(told.shape) > MOST_DIMENSIONS:
            raise BadRequest(f"an input has at most {MOST_DIMENSIONS} dimensions")
        tensor = InputTensor(told.name, told.datatype, list(told.shape), _NOTHING)
        listed = told.contents.ListFields()
        if raw and listed:
            raise tensor.wrong("it has both contents and raw_input_contents")
        tensor.data = BinaryData(raw[place]) if raw else _ListedData(listed)
        inputs.append(tensor)
    asked = dict.fromkeys((output.name for output in message.outputs), bool(raw))
    return InferRequest(inputs, asked, message.id, bool(raw))


class _ListedData:
    """Values in a field of the message."""

    def __init__(self, listed: list[tuple[Any, Any]]) -> None:
        self._listed = {field.name: values for field, values in listed}

    def check(self, tensor: InputTensor) -> None:
        """See `Data.check`."""
        expected = _FIELDS.get(tensor.datatype)
        if expected is None:
            tensor.dtype  # noqa: B018 - which raises for what is no datatype at all
            raise tensor.wrong(f"{tensor.datatype} comes in raw_input_contents alone")
        for name in self._listed:
            if name != expected:
                raise tensor.wrong(f"it has {name}, and {tensor.datatype} is in {expected}")
        given = len(self._listed.get(expected, ()))
        if given != tensor.size:
            raise tensor.wrong_size(given)

    def blocks(self, tensor: InputTensor) -> Iterator[Cells]:
        """See `Data.blocks`."""
        values = next(iter(self._listed.values()), ())
        for begin in range(0, len(values), tensor.block_size):
            some = values[begin : begin + tensor.block_size]
            if tensor.datatype == BYTES:
                yield [decoded(text, tensor, place) for place, text in enumerate(some, begin)]
            else:
                yield tensor.numbers(some)


@dataclass(slots=True)
class MessageWriter:
    """Write the answer to a request: its outputs as bytes, if its inputs were."""

    request: InferRequest
    model_name: str
    model_version: str
    media_type = "application/grpc"
    number_bytes = 2 * NUMBER_BYTES  # with an object for each

    def write(self, answers: Answers) -> bytes:
        """See `Writer.write`."""
        response = ModelInferResponse(
            model_name=self.model_name, model_version=self.model_version, id=self.request.id
        )
        for tensor in written(answers, self.request):
            output = response.outputs.add(
                name=tensor.name, datatype=tensor.datatype, shape=tensor.array.shape
            )
            if self.request.binary:
                response.raw_output_contents.append(binary(tensor))
            elif tensor.datatype == BYTES:
                texts = (str(value).encode() for value in tensor.array.ravel())
                output.contents.bytes_contents.extend(texts)
            else:
                field = getattr(output.contents, _FIELDS[tensor.datatype])
                field.extend(tensor.array.ravel().tolist())
        return bytes(response.SerializeToString())


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


_NOTHING = BinaryData(b"")
