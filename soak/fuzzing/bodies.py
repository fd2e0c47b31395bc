"""Mutated bodies under odd headers, on connections that are kept alive."""

import asyncio
import collections
import json
import random
from collections.abc import Sequence

import numpy as np

from harness.http_client import Connection, LostError
from harness.ports import HOST
from model_server.model.directory import ModelDirectory
from soak.fuzzing.mutation import Mutator

_CONNECTIONS = 4
_MEDIA_TYPES = (
    *("application/json", "text/csv", "application/jsonlines"),
    *("application/json; charset=utf-8", 'text/csv; header="x"'),
    *("*/*", "text/*;q=0.5, */*;q=0", "application/json;q=2", "text/csv;q=abc", ";", "/", ",", ""),
    *("application/octet-stream", "text/csv; charset=utf-16", "application/cloudevents+json"),
    *("a/b;" * 200, "application/json;=", "\t", "text/csv;charset='", "é/ü"),
)
_JSON_LENGTHS = (b"0", b"10", b"92", b"-5", b"abc", b"9" * 30)
_DATATYPES = ("FP64", "FP32", "FP16", "INT64", "INT8", "UINT8", "BOOL", "BYTES")
_PATHS = (
    *("/v1/models/rooms:predict",) * 6,
    *("/v1/models/boston:predict",) * 6,
    *("/v2/models/rooms/infer",) * 3,
    *("/v2/models/boston/infer", "/v1/models/nope:predict", "/v1/models/rooms:explain"),
    *("/v2/models/%2e%2e/infer", "/v1/models/%00:predict", "/v1/models//x:predict", "/v1/models"),
)


def sound(artifacts: Sequence[ModelDirectory]) -> list[bytes]:
    """Return bodies that are answered: the golden rows in JSON, CSV and v2 tensors."""
    bodies = []
    for artifact in artifacts:
        names = [feature.name for feature in artifact.manifest.features]
        rows = [list(row) for row in artifact.manifest.golden.instances]
        by_name = [dict(zip(names, row, strict=True)) for row in rows]
        lines = [",".join(map(str, row)) for row in rows]
        tensor = {"name": "input-0", "shape": [len(rows), len(names)], "data": rows}
        whole = {**tensor, "data": np.array(rows, np.float64).astype(np.int64).tolist()}
        bodies += [
            json.dumps({"instances": rows}).encode(),
            json.dumps({"instances": rows[:1]}).encode(),
            json.dumps({"instances": by_name}).encode(),
            "\n".join(lines).encode(),
            "\r\n".join([",".join(names), *lines]).encode(),
            json.dumps({"id": "1", "inputs": [{**tensor, "datatype": "FP64"}]}).encode(),
            *(
                json.dumps({"inputs": [{**whole, "datatype": datatype}]}).encode()
                for datatype in _DATATYPES
            ),
        ]
    return bodies


class Sender:
    """Send mutated bodies, and count what they are answered with.

    Parameters
    ----------
    port : int
    sound : sequence of bytes
    seed : int

    Attributes
    ----------
    statuses : Counter of int
    failures : list of str
        Requests that were answered with a 5xx, or not at all.
    """

    def __init__(self, port: int, sound: Sequence[bytes], seed: int) -> None:
        self._port = port
        self._rng = random.Random(seed)
        self._bodies = Mutator(self._rng, sound)
        self._headers = Mutator(self._rng, [text.encode() or b" " for text in _MEDIA_TYPES])
        self.statuses: collections.Counter[int] = collections.Counter()
        self.failures: list[str] = []

    async def send(self, count: int) -> None:
        """Send so many, on a few connections at once."""
        shares = [len(range(place, count, _CONNECTIONS)) for place in range(_CONNECTIONS)]
        async with asyncio.TaskGroup() as tasks:
            for share in shares:
                tasks.create_task(self._send_in_turn(share))

    async def _send_in_turn(self, count: int) -> None:
        connection = await Connection.open(HOST, self._port)
        for _ in range(count):
            request = self._request()
            try:
                answer = await connection.ask(request)
            except LostError as error:
                self.failures.append(f"{error}: {request[:300]!r}")
            else:
                self.statuses[answer.status] += 1
                if answer.status >= 500:
                    self.failures.append(f"{answer.status} {answer.body[:200]!r}: {request!r}")
                if not answer.closes:
                    continue
            connection.close()
            connection = await Connection.open(HOST, self._port)
        connection.close()

    def _request(self) -> bytes:
        body = self._bodies.draw()
        lines = [f"POST {self._rng.choice(_PATHS)} HTTP/1.1".encode(), b"host: soak"]
        if self._rng.random() < 0.8:
            lines.append(b"content-type: " + self._media_type())
        if self._rng.random() < 0.8:
            lines.append(b"accept: " + self._media_type())
        if self._rng.random() < 0.05:
            lines.append(b"inference-header-content-length: " + self._rng.choice(_JSON_LENGTHS))
        if any(b"cloudevents" in line for line in lines):
            lines.append(b"connection: close")  # KServe answers these in chunks, till the end
        lines += [f"content-length: {len(body)}".encode(), b"", body]
        return b"\r\n".join(lines)

    def _media_type(self) -> bytes:
        """Draw a value that a header may have: no control bytes."""
        if self._rng.random() < 0.85:
            return self._rng.choice(_MEDIA_TYPES[:3]).encode()
        return bytes(byte for byte in self._headers.draw() if byte >= 32 and byte != 127)
