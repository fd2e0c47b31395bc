"""Farewell: servers are stopped under fresh connections, and reset none before they refuse one.

There is no drain delay: clients open one connection after the other until one is refused. What the
system has accepted when the port is closed has to be answered.
"""

import asyncio
import contextlib
import itertools
import random
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

from harness.http_client import LostError, ask_once, post
from harness.ports import HOST
from harness.processes import ServerProcess, serve
from soak.lanes import run_lanes
from soak.scenario import Outcome, some

_CLIENTS = 8
_LONGEST_LOAD_S = 0.5
_FLAGS = ("--drain-delay-s=0", "--no-grpc")
_REQUEST = post("/v1/models/rooms:predict", b'{"instances": [[6.5]]}', close=True)


@dataclass
class Tally:
    """What became of the connections, and of the servers."""

    answered: int = 0
    early: list[str] = field(default_factory=list)
    late: int = 0
    bad_exits: list[int] = field(default_factory=list)


def run(models: Path, folder: Path, *, stops: int = 200, lanes: int = 2, seed: int = 13) -> Outcome:
    """Stop that many servers, one after the other in each lane.

    Parameters
    ----------
    models : Path
        Trained model directories, ``rooms`` among them.
    folder : Path
        For the servers' logs.
    stops : int
    lanes : int
        How many servers there are at a time.
    seed : int
        Of the moments.
    """
    tally = Tally()

    async def stop(lane: int, rng: random.Random) -> None:
        async with serve(models, *_FLAGS, log=folder / f"farewell-{lane}.log") as server:
            await _stop(server, rng, tally)

    asyncio.run(run_lanes(stops, lanes, seed, stop))
    return Outcome(
        asked=f"{stops} SIGTERMs under fresh connections, without a drain delay: none is reset "
        "before the first is refused",
        seen=f"{tally.answered:,} answered, {some(tally.early)} lost before the first was refused "
        f"and {tally.late} after; exit statuses other than 0: {len(tally.bad_exits)}",
        held=not tally.early and not tally.bad_exits,
    )


async def _stop(server: ServerProcess, rng: random.Random, tally: Tally) -> None:
    clients = [asyncio.create_task(_ask(server.http_port, tally)) for _ in range(_CLIENTS)]
    await asyncio.sleep(rng.uniform(0.1, _LONGEST_LOAD_S))
    server.process.send_signal(signal.SIGTERM)
    ends = await asyncio.gather(*clients)
    status = await asyncio.to_thread(server.process.wait)
    if status:
        tally.bad_exits.append(status)
    first_refused_s = min(refused_s for refused_s, _ in ends)
    for lost_s, told in itertools.chain.from_iterable(lost for _, lost in ends):
        if lost_s < first_refused_s:
            tally.early.append(told)
        else:
            tally.late += 1


async def _ask(port: int, tally: Tally) -> tuple[float, list[tuple[float, str]]]:
    """Ask until a connection is refused; return when it was, and what was lost before and when."""
    lost: list[tuple[float, str]] = []
    with contextlib.suppress(ConnectionRefusedError):
        while True:
            try:
                answer = await ask_once(HOST, port, _REQUEST)
            except LostError as error:
                lost.append((time.monotonic(), str(error)))
                continue
            except ConnectionResetError as error:
                lost.append((time.monotonic(), f"in its handshake: {error}"))
                continue
            if answer.status != 200:
                lost.append((time.monotonic(), f"status {answer.status}"))
            tally.answered += 1
    return time.monotonic(), lost
