"""One v2 request by each of its carriers."""

import json
import struct
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from kserve.protocol.grpc.grpc_predict_v2_pb2 import ModelInferRequest

from model_server.formats import infer_json
from model_server.formats.tensors import DTYPES, InferRequest
from model_server.kserve import infer_message

_FIELDS = {
    "BOOL": "bool_contents",
    "BYTES": "bytes_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "INT8": "int_contents",
    "INT64": "int64_contents",
    "UINT64": "uint64_contents",
}


class Told(NamedTuple):
    """A tensor, its values in row-major order."""

    name: str
    datatype: str
    shape: list[int]
    values: list[Any]


def _outline(told: Told) -> dict[str, Any]:
    return {"name": told.name, "datatype": told.datatype, "shape": told.shape}


def _in_json(values: list[Any]) -> list[Any]:
    return [None if value != value else value for value in values]  # noqa: PLR0124 - NaN


def by_json(*tensors: Told) -> InferRequest:
    inputs = [{**_outline(told), "data": _in_json(told.values)} for told in tensors]
    return infer_json.read(json.dumps({"inputs": inputs}).encode())


def by_rows(*tensors: Told) -> InferRequest:
    """Send the same as lists of rows, where there are some."""
    inputs = []
    for told in tensors:
        data = _in_json(told.values)
        if len(told.shape) == 2:
            width = told.shape[1]
            data = [data[at : at + width] for at in range(0, len(data), width)]
        inputs.append({**_outline(told), "data": data})
    return infer_json.read(json.dumps({"inputs": inputs}).encode())


def in_binary(told: Told) -> bytes:
    if told.datatype == "BYTES":
        texts = [text.encode() for text in told.values]
        return b"".join(struct.pack("<I", len(text)) + text for text in texts)
    return np.array(told.values, DTYPES[told.datatype]).tobytes()


def by_binary(*tensors: Told) -> InferRequest:
    parts = [in_binary(told) for told in tensors]
    inputs = [
        {**_outline(told), "parameters": {"binary_data_size": len(part)}}
        for told, part in zip(tensors, parts, strict=True)
    ]
    head = json.dumps({"inputs": inputs}).encode()
    return infer_json.read(head + b"".join(parts), len(head))


def by_message(*tensors: Told) -> InferRequest:
    message = ModelInferRequest()
    for told in tensors:
        added = message.inputs.add(name=told.name, datatype=told.datatype, shape=told.shape)
        values: Any = told.values
        if told.datatype == "BYTES":
            values = [text.encode() for text in values]
        getattr(added.contents, _FIELDS[told.datatype]).extend(values)
    return infer_message.read(infer_message.parse(message.SerializeToString()))


def by_raw_message(*tensors: Told) -> InferRequest:
    message = ModelInferRequest()
    for told in tensors:
        message.inputs.add(name=told.name, datatype=told.datatype, shape=told.shape)
        message.raw_input_contents.append(in_binary(told))
    return infer_message.read(infer_message.parse(message.SerializeToString()))


CARRIERS: dict[str, Callable[..., InferRequest]] = {
    "JSON": by_json,
    "rows in JSON": by_rows,
    "binary": by_binary,
    "a message": by_message,
    "a raw message": by_raw_message,
}
