"""Beside: small requests go on while the longest and worst bodies are read.

One client after the other posts a body of the longest length that is allowed, again and again, as
soon as it was answered. Meanwhile one-row requests come at a steady rate; how long they take is
compared with how long they took in quiet.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from pathlib import Path

from harness.http_client import JSON, Connection, LostError, post
from harness.load import Load, percentile_ms
from harness.ports import HOST
from harness.processes import ServerProcess, serve
from soak.scenario import Outcome, some

log = logging.getLogger("soak")

_LIMIT_MS = 25.0
_LENGTH_BYTES = 6 * 2**20
_CSV, _LINES = "text/csv", "application/jsonlines"
_ROOMS = post("/v1/models/rooms:predict", b'{"instances": [[6.5]]}')
_BUSY = (200, 400, 413, 503)


def _filled(piece: bytes, begin: bytes = b"", end: bytes = b"") -> Callable[[int], bytes]:
    return lambda length_bytes: (
        begin + piece * ((length_bytes - len(begin) - len(end)) // len(piece)) + end
    )


BODIES: dict[str, tuple[str, Callable[[int], bytes]]] = {
    "CSV of 6": (_CSV, _filled(b"6\n")),
    "CSV of .5": (_CSV, _filled(b".5\n")),
    "CSV of quotes": (_CSV, _filled(b'"6"\n')),
    "CSV with CR": (_CSV, _filled(b"6\r")),
    "CSV, the last row wrong": (_CSV, _filled(b"6\n", end=b"x\n")),
    "JSON of lists": (JSON, _filled(b"[6],", b'{"instances":[', b"[6]]}")),
    "JSON of objects": (JSON, _filled(b'{"RM":6},', b'{"instances":[', b'{"RM":6}]}')),
    "JSON, the last row wrong": (JSON, _filled(b"[6],", b'{"instances":[', b'["x"]]}')),
    "JSON, never closed": (JSON, _filled(b'{"RM":6},', b'{"instances":[')),
    "JSON Lines": (_LINES, _filled(b"[6]\n")),
}


def run(
    models: Path,
    folder: Path,
    *,
    seconds: float = 10,
    rate: float = 50,
    length_bytes: int = _LENGTH_BYTES,
    judge_timings: bool = True,
) -> Outcome:
    """Measure one-row requests in quiet, and beside each body.

    Parameters
    ----------
    models : Path
        Trained model directories, ``rooms`` among them.
    folder : Path
        For the server's log.
    seconds : float
        For each body, and for the quiet.
    rate : float
        One-row requests a second.
    length_bytes : int
        Of each body.
    judge_timings : bool
        Whether latencies decide, too.
    """
    quiet_ms, beside_ms, wrong = asyncio.run(_run(models, folder, seconds, rate, length_bytes))
    worst = max(beside_ms, key=lambda name: beside_ms[name])
    over_ms = beside_ms[worst] - quiet_ms
    in_time = over_ms <= _LIMIT_MS
    return Outcome(
        asked=f"p99 of one-row requests beside any body of {length_bytes / 2**20:.0f} MiB at most "
        f"{_LIMIT_MS:.0f} ms over the quiet one, and every one answered",
        seen=f"p99 {quiet_ms:.1f} ms in quiet; beside the worst, {worst}, {beside_ms[worst]:.1f} "
        f"ms, {over_ms:+.1f} ms and {beside_ms[worst] / quiet_ms:.1f} times; of {len(beside_ms)} "
        f"bodies {sum(ms - quiet_ms <= _LIMIT_MS for ms in beside_ms.values())} within; wrong "
        f"{some(wrong)}",
        held=not wrong and (in_time or not judge_timings),
    )


async def _run(
    models: Path, folder: Path, seconds: float, rate: float, length_bytes: int
) -> tuple[float, dict[str, float], list[str]]:
    beside_ms, wrong = {}, []
    async with serve(models, "--no-grpc", log=folder / "log") as server:
        await _measure(server, rate, min(seconds, 2))
        quiet = await _measure(server, rate, seconds)
        wrong += quiet.wrong
        for name, (media_type, body) in BODIES.items():
            request = post("/v1/models/rooms:predict", body(length_bytes), media_type=media_type)
            posting = asyncio.create_task(_post(server.http_port, request, name, wrong))
            load = await _measure(server, rate, seconds)
            posting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await posting
            beside_ms[name] = percentile_ms(load.latencies_s, 99)
            wrong += [f"beside {name}: {what}" for what in load.wrong]
            log.info("beside: %s: p99 %.1f ms", name, beside_ms[name])
    return percentile_ms(quiet.latencies_s, 99), beside_ms, wrong


async def _measure(server: ServerProcess, rate: float, seconds: float) -> Load:
    load = Load(server.http_port, _ROOMS)
    await load.offer(rate, seconds)
    load.close()
    return load


async def _post(port: int, request: bytes, name: str, wrong: list[str]) -> None:
    """Post one body again and again."""
    while True:
        connection = await Connection.open(HOST, port)
        try:
            answer = await connection.ask(request)
            if answer.status not in _BUSY:
                wrong.append(f"{name}: status {answer.status}")
        except LostError as error:
            wrong.append(f"{name}: {error}")
        finally:
            connection.close()
