"""Slow clients: a thousand that send a byte a second, while normal traffic goes on.

Half of them are slow in the header and half in the body; where the server cuts one off, another
takes its place until the normal traffic was measured. A few more read their answer as slowly: that
is in the kernel's hands once the server has written it, so they are counted and nothing is asked of
them.
"""

import asyncio
import logging
import socket
import time
from collections import Counter, defaultdict
from collections.abc import Generator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from soak.clients import post
from soak.load import Load, percentile_ms
from soak.scenario import Outcome
from soak.servers import HOST, serve
from tests.server_process import ServerProcess

log = logging.getLogger("soak")

_HEADER, _BODY, _READER = "header", "body", "answer"
_ENDLESS = f"host: soak\r\ncontent-type: application/json\r\ncontent-length: {10**6}\r\n\r\n"
_BEGINNINGS = {
    _HEADER: (b"POST /v1/models/rooms:predict HTTP/1.1\r\nx-slow: ",),
    _BODY: (
        f"POST /v1/models/rooms:predict HTTP/1.1\r\n{_ENDLESS}".encode(),
        f"POST /v2/models/rooms/infer HTTP/1.1\r\n{_ENDLESS}".encode(),
    ),
    _READER: (post("/v1/models/rooms:predict", b'{"instances": [' + b"[6]," * 4999 + b"[6]]}"),),
}
_READERS_SHARE = 0.02
_GROUPS = 200
_ROOMS = post("/v1/models/rooms:predict", b'{"instances": [[6.5]]}')
_TIMES = 2
_SLACK_S = 5


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
    timeouts_s = {_HEADER: header_timeout_s, _BODY: body_timeout_s}
    flags = [f"--{place}-timeout-s={timeout_s}" for place, timeout_s in timeouts_s.items()]
    serving = serve(models, *flags, log=folder / "slow.log")
    patience_s = max(timeouts_s.values()) + _SLACK_S
    before, beside, crowd = asyncio.run(_run(serving, connections, seconds, rate, patience_s))
    p99_before, p99_beside = (percentile_ms(load.latencies_s, 99) for load in (before, beside))
    bad = before.wrong + beside.wrong
    seen = (
        f"p99 {p99_before:.1f} ms before and {p99_beside:.1f} ms beside them, "
        f"{p99_beside / p99_before:.1f} times, of {beside.sent:,} requests; rejected "
        f"{before.rejected + beside.rejected}, wrong {len(bad)}; {crowd.seen()}"
    )
    cut = crowd.cut_in(timeouts_s)
    in_time = p99_beside <= _TIMES * p99_before
    held = not bad and not before.rejected and not beside.rejected and cut
    return Outcome(asked, seen, held and (in_time or not judge_timings))


async def _run(
    serving: AbstractAsyncContextManager[ServerProcess],
    connections: int,
    seconds: float,
    rate: float,
    patience_s: float,
) -> "tuple[Load, Load, Crowd]":
    async with serving as server:
        loads = [Load(server.http_port, _ROOMS) for _ in range(3)]
        warm_up, before, beside = loads
        crowd = Crowd(server.http_port, connections)
        await warm_up.offer(rate, min(seconds, 2))
        await before.offer(rate, seconds)
        log.info("slow: p99 alone %.1f ms", percentile_ms(before.latencies_s, 99))
        crowding = asyncio.create_task(crowd.drip())
        try:
            await crowd.complete.wait()
            await beside.offer(rate, seconds)
            log.info("slow: p99 beside %.1f ms", percentile_ms(beside.latencies_s, 99))
            crowd.replaces = False
            await asyncio.wait([crowding], timeout=patience_s)
        finally:
            crowding.cancel()
            await asyncio.wait([crowding])
            for load in loads:
                load.close()
    return before, beside, crowd


class Crowd:
    """Slow clients.

    Parameters
    ----------
    port : int
    connections : int
        How many slow senders are open at a time.

    Attributes
    ----------
    complete : asyncio.Event
        All of them are open.
    replaces : bool
        Whether another takes the place of one that was cut off.
    """

    def __init__(self, port: int, connections: int) -> None:
        self.complete = asyncio.Event()
        self.replaces = True
        self._port = port
        readers = max(1, round(connections * _READERS_SHARE))
        self._places = [
            *((_HEADER, _BODY)[place % 2] for place in range(connections)),
            *([_READER] * readers),
        ]
        self._lives_s: defaultdict[str, list[float]] = defaultdict(list)
        self._open: Counter[str] = Counter()

    def seen(self) -> str:
        """Tell when the slow ones were cut off."""
        told = [
            f"{len(self._lives_s[place]):,} cut off after {min(self._lives_s[place]):.0f} to "
            f"{max(self._lives_s[place]):.0f} s in the {place}"
            for place in (_HEADER, _BODY)
            if self._lives_s[place]
        ]
        left = [f"{self._open[place]} never in the {place}" for place in (_HEADER, _BODY)]
        return ", ".join(told + left)

    def cut_in(self, timeouts_s: dict[str, int]) -> bool:
        """Tell whether all were cut off, and none before half of its time was over."""
        return all(
            self._lives_s[place]
            and not self._open[place]
            and min(self._lives_s[place]) >= timeout_s / 2
            for place, timeout_s in timeouts_s.items()
        )

    async def drip(self) -> None:
        """Send a byte of each in turn, every second, until all are cut off."""
        clients = [self._live(number, place) for number, place in enumerate(self._places)]
        try:
            for client in clients:
                next(client)
                await asyncio.sleep(1 / len(clients))
            self.complete.set()
            group = max(1, len(clients) // _GROUPS)
            while self._open[_HEADER] or self._open[_BODY]:
                begun = time.perf_counter()
                for number, client in enumerate(clients, start=1):
                    next(client)
                    if number % group == 0:
                        due_s = number / len(clients) - (time.perf_counter() - begun)
                        await asyncio.sleep(max(0.0, due_s))
        finally:
            for client in clients:
                client.close()

    def _live(self, number: int, place: str) -> Generator[None, None, None]:
        """Be one client, and after each cut another; every step is a byte."""
        beginnings = _BEGINNINGS[place]
        while self.replaces:
            begun = time.perf_counter()
            with socket.socket() as connection:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                connection.connect((HOST, self._port))
                connection.sendall(beginnings[number // 2 % len(beginnings)])
                connection.settimeout(0)
                self._open[place] += 1
                yield
                while _step(connection, sends=place != _READER):
                    yield
                self._open[place] -= 1
            self._lives_s[place].append(time.perf_counter() - begun)
        while True:
            yield


def _step(connection: socket.socket, *, sends: bool) -> bool:
    """Send a byte and read one; return whether the connection is still open."""
    try:
        if sends:
            connection.send(b"1")
        return bool(connection.recv(1))
    except BlockingIOError:
        return True
    except ConnectionError:
        return False
