"""Slow clients: a thousand of `soak.crowd`, while normal traffic goes on."""

import asyncio
import json
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

from harness.http_client import post
from harness.load import Load, percentile_ms
from harness.processes import ROOT, ServerProcess, serve
from soak.crowd import BODY, HEADER
from soak.scenario import Outcome

log = logging.getLogger("soak")

_ROOMS = post("/v1/models/rooms:predict", b'{"instances": [[6.5]]}')
_TIMES = 2
_SLACK_S = 5
_LINE_BYTES = 2**22


def run(
    models: Path,
    folder: Path,
    *,
    connections: int = 1000,
    seconds: float = 40,
    rate: float = 200,
    header_timeout_s: int = 10,
    body_timeout_s: int = 30,
    judge_timings: bool = True,
) -> Outcome:
    """Measure normal traffic alone and beside slow clients.

    Parameters
    ----------
    models : Path
        Trained model directories, ``rooms`` among them.
    folder : Path
        For the server's log.
    connections : int
        Slow ones that are open at a time.
    seconds : float
        How long the normal traffic is measured, alone and again beside them.
    rate : float
        Its requests a second.
    header_timeout_s, body_timeout_s : int
        What the server gives a client.
    judge_timings : bool
        Whether latencies decide, too.
    """
    asked = (
        f"{connections:,} connections of a byte a second: p99 of normal traffic at most "
        f"{_TIMES} times as before, slow ones cut off after {header_timeout_s} s in the header and "
        f"{body_timeout_s} s in the body"
    )
    timeouts_s = {HEADER: header_timeout_s, BODY: body_timeout_s}
    flags = [f"--{place}-timeout-s={timeout_s}" for place, timeout_s in timeouts_s.items()]
    serving = serve(models, *flags, log=folder / "slow.log")
    patience_s = max(timeouts_s.values()) + _SLACK_S
    before, beside, crowd = asyncio.run(_run(serving, connections, seconds, rate, patience_s))
    p99_before, p99_beside = (percentile_ms(load.latencies_s, 99) for load in (before, beside))
    bad = before.wrong + beside.wrong
    seen = (
        f"p99 {p99_before:.1f} ms before and {p99_beside:.1f} ms beside them, "
        f"{p99_beside / p99_before:.1f} times, of {beside.sent:,} requests; rejected "
        f"{before.rejected + beside.rejected}, wrong {len(bad)}; {_seen(crowd)}"
    )
    cut = _cut_in(crowd, timeouts_s)
    in_time = p99_beside <= _TIMES * p99_before
    held = not bad and not before.rejected and not beside.rejected and cut
    return Outcome(asked, seen, held and (in_time or not judge_timings))


async def _run(
    serving: AbstractAsyncContextManager[ServerProcess],
    connections: int,
    seconds: float,
    rate: float,
    patience_s: float,
) -> tuple[Load, Load, dict[str, Any]]:
    async with serving as server:
        loads = [Load(server.http_port, _ROOMS) for _ in range(3)]
        warm_up, before, beside = loads
        await warm_up.offer(rate, min(seconds, 2))
        await before.offer(rate, seconds)
        log.info("slow: p99 alone %.1f ms", percentile_ms(before.latencies_s, 99))
        async with _crowd(server.http_port, connections, patience_s) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            await process.stdout.readline()
            await beside.offer(rate, seconds)
            log.info("slow: p99 beside %.1f ms", percentile_ms(beside.latencies_s, 99))
            process.stdin.close()
            told = await process.stdout.readline()
        for load in loads:
            load.close()
    return before, beside, json.loads(told)


@asynccontextmanager
async def _crowd(
    port: int, connections: int, patience_s: float
) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "soak.crowd", *map(str, (port, connections, patience_s))),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=_LINE_BYTES,
        cwd=ROOT,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def _seen(crowd: dict[str, Any]) -> str:
    """Tell when the slow ones were cut off."""
    told = [
        f"{len(lives_s):,} cut off after {min(lives_s):.0f} to {max(lives_s):.0f} s in the {place}"
        for place in (HEADER, BODY)
        if (lives_s := crowd["lives_s"].get(place))
    ]
    return ", ".join(
        told + [f"{crowd['left'].get(place, 0)} never in the {place}" for place in (HEADER, BODY)]
    )


def _cut_in(crowd: dict[str, Any], timeouts_s: dict[str, int]) -> bool:
    """Tell whether all were cut off, and none before half of its time was over."""
    return all(
        crowd["lives_s"].get(place)
        and not crowd["left"].get(place)
        and min(crowd["lives_s"][place]) >= timeout_s / 2
        for place, timeout_s in timeouts_s.items()
    )
