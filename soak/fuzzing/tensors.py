"""Odd tensors over gRPC."""

import collections
import random
from typing import Any

import grpc
from kserve.protocol.grpc import grpc_predict_v2_pb2 as messages
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

from harness.ports import HOST
from soak.fuzzing.mutation import TOKENS, Mutator

_TIMEOUT_S = 20.0
_FAULTS = {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.DEADLINE_EXCEEDED}
_DATATYPES = (
    *("BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64"),
    *("FP16", "FP32", "FP64", "BYTES", "FP99", "", "fp64", "\x00"),
)
_CONTENTS = {
    "bool_contents": (True, False),
    "int_contents": (0, -1, 2**31 - 1),
    "int64_contents": (0, -(2**63)),
    "uint_contents": (0, 2**32 - 1),
    "uint64_contents": (0, 2**64 - 1),
    "fp32_contents": (6.5, float("nan"), float("inf")),
    "fp64_contents": (6.5, float("nan"), -float("inf"), 1e308, 5e-324),
    "bytes_contents": (b"six", b"\xff\xfe", b"", *TOKENS[-8:]),
}
_SIZES = (-1, 0, 1, 2, 12, 2**31, 2**63 - 1, -(2**63))


class Sender:
    """Send mutated requests one after the other, and count the codes.

    Parameters
    ----------
    port : int
    seed : int

    Attributes
    ----------
    codes : Counter of str
    failures : list of str
        Requests that were answered as the server's fault, or not at all.
    """

    def __init__(self, port: int, seed: int) -> None:
        self._port = port
        self._rng = random.Random(seed)
        self.codes: collections.Counter[str] = collections.Counter()
        self.failures: list[str] = []

    async def send(self, count: int) -> None:
        """Send so many."""
        async with grpc.aio.insecure_channel(f"{HOST}:{self._port}") as channel:
            stub = GRPCInferenceServiceStub(channel)
            for _ in range(count):
                request = self._request()
                try:
                    await stub.ModelInfer(request, timeout=_TIMEOUT_S)
                except grpc.aio.AioRpcError as error:
                    self.codes[error.code().name] += 1
                    if error.code() in _FAULTS:
                        told = f"{error.code().name} {error.details()}"
                        self.failures.append(f"{told}: {request!s:.500}")
                else:
                    self.codes["OK"] += 1

    def _request(self) -> Any:
        request = messages.ModelInferRequest(
            model_name=self._rng.choice(("rooms", "rooms", "boston", "nope", "", "../rooms")),
            id=self._rng.choice(("", "1", "\x00", "x" * 5000)),
        )
        for _ in range(self._rng.choice((1, 1, 1, 0, 2, 12))):
            self._add_input(request)
        if self._rng.random() < 0.2:
            request.raw_input_contents.append(self._rng.randbytes(self._rng.choice((0, 7, 8, 96))))
        if self._rng.random() < 0.1:
            request.outputs.add(name=self._rng.choice(("output-0", "nope", "")))
        return self._mutated(request) if self._rng.random() < 0.5 else request

    def _add_input(self, request: Any) -> None:
        tensor = request.inputs.add(
            name=self._rng.choice(("x", "RM", "input-0", "")),
            datatype=self._rng.choice((*_DATATYPES, *("FP64",) * 10)),
        )
        rows, columns = self._rng.choice(((1, 1), (8, 1), (1, 12), (2, 12), (0, 1)))
        tensor.shape.extend((rows, columns))
        kind = self._rng.choice((*_CONTENTS, *("fp64_contents",) * 8))
        values = self._rng.choices(_CONTENTS[kind], k=rows * columns)
        getattr(tensor.contents, kind).extend(values)
        if self._rng.random() < 0.2:
            tensor.shape[self._rng.randrange(2)] = self._rng.choice(_SIZES)
        if self._rng.random() < 0.1:
            tensor.shape.append(self._rng.choice(_SIZES))
        if self._rng.random() < 0.1:
            tensor.parameters["binary_data_size"].int64_param = self._rng.choice(_SIZES)

    def _mutated(self, request: Any) -> Any:
        """Change the bytes of a message, as far as they still are one."""
        written = Mutator(self._rng, [request.SerializeToString() or b"\n"]).draw()
        try:
            return messages.ModelInferRequest.FromString(written)
        except Exception:  # noqa: BLE001 - protobuf's DecodeError; the library itself refuses it
            return request
