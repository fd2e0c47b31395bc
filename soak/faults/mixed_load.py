"""A mixed load: some of every way to ask, all at once, each answer compared with the right one."""

import asyncio
import itertools
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import grpc
from kserve.protocol.grpc.grpc_predict_v2_pb2 import ModelInferRequest
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

from harness.http_client import LostError, ask_once, get, post
from harness.ports import HOST

TOKEN = "soak"
_DEADLINE_S = 20
_PATH = "/v1/models/rooms:predict"
_ROWS = [[4 + row / 250] for row in range(1000)]
_TENSOR = {"name": "input-0", "datatype": "FP64", "shape": [1, 1], "data": [6.5]}
_REQUESTS = {
    "a row": post(_PATH, b'{"instances": [[6.5]]}'),
    "a thousand rows": post(_PATH, json.dumps({"instances": _ROWS}).encode()),
    "CSV": post(_PATH, b"RM\n6.5\n7\n", media_type="text/csv"),
    "v2": post("/v2/models/rooms/infer", json.dumps({"id": "1", "inputs": [_TENSOR]}).encode()),
    "health": get("/v2/health/live"),
    "load": post("/v2/repository/models/rooms/load", b""),
}
_GRPC = "gRPC"
_ERRORS = ("INTERNAL", "RESOURCE_EXHAUSTED", "UNAVAILABLE", "UNKNOWN", "CANCELLED")


class MixedLoad:
    """Clients of a server that asks for a token.

    Parameters
    ----------
    http_port, grpc_port : int
    tokens : Path
        Its file of tokens, which is written anew again and again.

    Attributes
    ----------
    answered : Counter of str
        What came: right answers, errors, and connections that ended without one.
    wrong : list of str
        What may not come, or did not come in time.
    """

    def __init__(self, http_port: int, grpc_port: int, tokens: Path) -> None:
        self._http_port = http_port
        self._grpc_port = grpc_port
        self._tokens = tokens
        self._numbers = itertools.count(1)
        self._newest = TOKEN
        self._right: dict[str, bytes] = {}
        self.answered: Counter[str] = Counter()
        self.wrong: list[str] = []

    async def learn(self) -> None:
        """Learn the right answers, while nothing fails."""
        for name, ask in self._asks(TOKEN).items():
            status, body = await ask()
            if status not in ("200", "OK"):
                raise LostError(f"{name}: {status}: {body!r}")
            self._right[name] = body

    async def ask(self) -> None:
        """Ask in every way at once, and change the tokens meanwhile."""
        self._rotate()
        async with asyncio.TaskGroup() as tasks:
            for name, ask in self._asks(TOKEN).items():
                tasks.create_task(self._judge(name, ask))
                await asyncio.sleep(0)

    async def recovered(self) -> str | None:
        """Ask in every way with the newest token; return the first answer that is not right."""
        for name, ask in self._asks(self._newest).items():
            try:
                async with asyncio.timeout(_DEADLINE_S):
                    status, body = await ask()
            except (OSError, LostError, TimeoutError) as error:
                return f"{name}: {error!r}"
            if body != self._right[name]:
                return f"{name}: {status}: {body[:200]!r}"
        return await self._held()

    def _rotate(self) -> None:
        self._newest = f"soak-{next(self._numbers)}"
        written = self._tokens.with_suffix(".new")
        written.write_text(f"{TOKEN}\n{self._newest}\n")
        written.replace(self._tokens)

    def _asks(self, token: str) -> dict[str, Callable[[], Awaitable[tuple[str, bytes]]]]:
        line = f"\r\nauthorization: Bearer {token}\r\n".encode()

        def over_http(request: bytes) -> Callable[[], Awaitable[tuple[str, bytes]]]:
            async def ask() -> tuple[str, bytes]:
                sent = request.replace(b"\r\n", line, 1)
                answer = await ask_once(HOST, self._http_port, sent)
                return str(answer.status), answer.body

            return ask

        asks = {name: over_http(request) for name, request in _REQUESTS.items()}
        return {**asks, _GRPC: lambda: self._infer(token)}

    async def _infer(self, token: str) -> tuple[str, bytes]:
        tensor = ModelInferRequest.InferInputTensor(name="input-0", datatype="FP64", shape=[1, 1])
        tensor.contents.fp64_contents.append(6.5)
        request = ModelInferRequest(model_name="rooms", id="1", inputs=[tensor])
        options = [("grpc.use_local_subchannel_pool", 1)]
        address = f"{HOST}:{self._grpc_port}"
        async with grpc.aio.insecure_channel(address, options=options) as channel:
            infer = GRPCInferenceServiceStub(channel).ModelInfer
            metadata = [("authorization", f"Bearer {token}")]
            try:
                answer = await infer(request, timeout=_DEADLINE_S, metadata=metadata)
            except grpc.aio.AioRpcError as error:
                return error.code().name, json.dumps({"error": error.details()}).encode()
        return "OK", answer.SerializeToString(deterministic=True)

    async def _judge(self, name: str, ask: Callable[[], Awaitable[tuple[str, bytes]]]) -> None:
        try:
            async with asyncio.timeout(_DEADLINE_S):
                status, body = await ask()
        except TimeoutError:
            self.wrong.append(f"{name}: no answer in {_DEADLINE_S} s")
        except (OSError, LostError):
            self.answered["lost"] += 1
        else:
            if body == self._right[name]:
                self.answered["right"] += 1
            elif _is_error(status, body):
                self.answered["errors"] += 1
            else:
                self.wrong.append(f"{name}: {status}: {body[:200]!r}")

    async def _held(self) -> str | None:
        """Tell what the server still holds of requests that are over."""
        answer = await ask_once(HOST, self._http_port, get("/metrics"))
        gauges = dict(line.split() for line in answer.body.decode().splitlines() if line[:1] != "#")
        held = {
            name: gauges[f"model_server_{name}"]
            for name, most in (
                ("requests_in_flight", 0),
                ("memory_bytes_in_flight", 0),
                ("connections", 1),
            )
            if float(gauges[f"model_server_{name}"]) > most
        }
        return f"still held: {held}" if held else None


def _is_error(status: str, body: bytes) -> bool:
    """Tell whether an answer says, in one line, that the server is at fault."""
    if status not in _ERRORS and not status.startswith("5"):
        return False
    try:
        told = json.loads(body)["error"]
    except (ValueError, LookupError, TypeError):
        return False
    return isinstance(told, str) and told != "" and "\n" not in told
