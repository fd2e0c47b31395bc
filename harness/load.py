"""A load on a server, and what became of each of its requests."""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from harness.http_client import Answer, Connection, LostError
from harness.ports import HOST

_OUTSTANDING = 600


@dataclass
class Load:
    """The same request again and again, on connections that are kept.

    Parameters
    ----------
    port : int
    request : bytes

    Attributes
    ----------
    latencies_s : list of float
        Of each answer with status 200.
    rejected : int
        Answers with status 503 and ``Retry-After``.
    wrong : list of str
        What else came, or did not.
    held_back : int
        Requests that were due and not sent, as 600 were without an answer.
    """

    port: int
    request: bytes
    latencies_s: list[float] = field(default_factory=list)
    rejected: int = 0
    wrong: list[str] = field(default_factory=list)
    held_back: int = 0
    _idle: list[Connection] = field(default_factory=list)

    @property
    def sent(self) -> int:
        """How many requests were sent."""
        return len(self.latencies_s) + self.rejected + len(self.wrong)

    async def offer(self, rate: float, seconds: float) -> None:
        """Send that many requests a second, however long their answers take.

        Parameters
        ----------
        rate : float
        seconds : float
        """
        asking: set[asyncio.Task[None]] = set()
        begun = time.perf_counter()
        for number in range(int(rate * seconds)):
            await asyncio.sleep(max(0.0, begun + number / rate - time.perf_counter()))
            if len(asking) >= _OUTSTANDING:
                self.held_back += 1
                continue
            task = asyncio.create_task(self.ask())
            asking.add(task)
            task.add_done_callback(asking.discard)
        await asyncio.gather(*asking)

    async def press(self, connections: int, seconds: float) -> None:
        """Send on each of some connections the next request as soon as the last is answered.

        Parameters
        ----------
        connections : int
        seconds : float
        """
        end = time.perf_counter() + seconds

        async def press_one() -> None:
            while time.perf_counter() < end:
                await self.ask()

        await asyncio.gather(*(press_one() for _ in range(connections)))

    async def ask(self) -> None:
        """Send one request and note what comes of it."""
        begun = time.perf_counter()
        try:
            connection = self._idle.pop() if self._idle else await Connection.open(HOST, self.port)
        except OSError as error:
            self.wrong.append(f"no connection: {error}")
            return
        try:
            answer = await connection.ask(self.request)
        except LostError as error:
            self.wrong.append(str(error))
            connection.close()
            return
        self._note(answer, time.perf_counter() - begun)
        if answer.closes:
            connection.close()
        else:
            self._idle.append(connection)

    def close(self) -> None:
        """Close its connections."""
        for connection in self._idle:
            connection.close()

    def _note(self, answer: Answer, latency_s: float) -> None:
        if answer.status == 200:
            self.latencies_s.append(latency_s)
        elif answer.status == 503 and answer.headers.get("retry-after", "").isdecimal():
            self.rejected += 1
        else:
            self.wrong.append(f"status {answer.status}: {answer.body[:100]!r}")


def percentile_ms(latencies_s: Iterable[float], percent: int) -> float:
    """Return the latency, in milliseconds, that so many percent do not exceed; NaN of none."""
    ordered = sorted(latencies_s)
    if not ordered:
        return float("nan")
    return 1000 * ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]
