"""Resets: connections that are reset in the middle of a long head leave nothing behind."""

import contextlib
import socket
import struct
from pathlib import Path

from harness.ports import HOST
from harness.processes import ServerProcess
from soak.scenario import Outcome

_HEAD = b"GET /v1/models HTTP/1.1\r\nhost: soak\r\nx: "
_AT_ONCE = 100
_WARM_UP = 0.1
_GROWTH_MB = 10.0
_RESET = struct.pack("ii", 1, 0)


def run(
    models: Path, folder: Path, *, connections: int = 30_000, head_bytes: int = 30_000
) -> Outcome:
    """Reset so many connections, and look at the memory before and after.

    Parameters
    ----------
    models : Path
    folder : Path
        For the server's log.
    connections : int
    head_bytes : int
        That each has sent.
    """
    with ServerProcess(models, "--no-grpc", log=folder / "log") as server:
        sent = _HEAD.ljust(head_bytes, b"x")
        _reset(server.http_port, int(_WARM_UP * connections), sent)
        before_mb = server.rss_mb
        _reset(server.http_port, connections, sent)
        grown_mb = server.rss_mb - before_mb
        status = server.client.get("/v2/health/ready").status_code
    return Outcome(
        asked=f"connections that are reset after {head_bytes:,} bytes of a head leave less than "
        f"{_GROWTH_MB:.0f} MB, however many they are",
        seen=f"{connections:,} resets: RSS {grown_mb:+.1f} MB, readiness {status} after",
        held=grown_mb < _GROWTH_MB and status == 200,
    )


def _reset(port: int, connections: int, sent: bytes) -> None:
    for _ in range(0, connections, _AT_ONCE):
        with contextlib.ExitStack() as open_:
            for _ in range(_AT_ONCE):
                client = open_.enter_context(socket.create_connection((HOST, port)))
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                client.sendall(sent)
