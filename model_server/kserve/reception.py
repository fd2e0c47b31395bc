"""The seats of gRPC's messages that come in.

gRPC's core keeps a message until it is whole and does not tell how much of it is there. So one
is asked for once there is a seat for it, and room for one as long as any.
"""

import asyncio
from itertools import islice

import grpc

from model_server.errors import BadRequest, Overloaded, TooSlow
from model_server.inference.in_flight import InFlightLimiter
from model_server.metrics import REJECTED

_SWIFT_S = 0.25
"""A message that takes longer gives up its seat when another needs it."""

_SEATS = 8

_COPIES = 2
"""Of a message: as core holds it, and as it is handed over."""

_SHARE = 0.5
"""So much of the limit on memory is for messages that come in, at most."""

_WAITING = 256
"""Most calls that wait for a seat; core keeps up to 64 KiB for each."""


class Reception:
    """Where messages come in, a few at a time.

    A message that was sent whole needs its seat for a moment. Where others wait for one, those who
    have had theirs for longest, and for long, lose them, and who came last is seated first: whoever
    sends nothing more keeps no one out.

    Parameters
    ----------
    limiter : InFlightLimiter
    limit_bytes : int
        The longest message.
    timeout_s : float
        How long a message may take, with the time in which it waits.

    Attributes
    ----------
    limiter : InFlightLimiter
    timeout_s : float
    """

    def __init__(self, limiter: InFlightLimiter, limit_bytes: int, timeout_s: float) -> None:
        self.limiter = limiter
        self._longest_bytes = _COPIES * limit_bytes
        share_bytes = _SHARE * limiter.bytes_limit
        self._free = min(max(int(share_bytes / self._longest_bytes), 1), _SEATS)
        self.timeout_s = timeout_s
        self._waiting: dict[asyncio.Future[bool], None] = {}
        self._seated: dict[asyncio.Timeout, float] = {}  # since when
        self._hurried: set[asyncio.Timeout] = set()

    async def read(self, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        """Return the message of a call.

        Raises
        ------
        RequestError
        """
        message = await self.next(context)
        if message is None:
            raise BadRequest("the call has no message")
        return message

    async def next(self, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes | None:
        """Return the next message of a call, or None where its client sends no more.

        Raises
        ------
        RequestError
        """
        hurried = False
        try:
            async with asyncio.timeout(self.timeout_s) as patience:
                await self._take_seat()
                self._seated[patience] = asyncio.get_running_loop().time()
                self._hurry()
                try:
                    with self.limiter.room(self._room_bytes()):
                        message = await context.read()
                finally:
                    hurried = self._seated.pop(patience, None) is None
                    self._hurried.discard(patience)
                    self._leave_seat()
        except TimeoutError:
            REJECTED.labels("bytes" if hurried else "body_timeout").inc()
            if hurried:
                raise Overloaded("bytes") from None
            raise TooSlow(f"no whole request in {self.timeout_s} s") from None
        return None if message is grpc.aio.EOF else bytes(message)

    def _room_bytes(self) -> int:
        return min(self._longest_bytes, int(_SHARE * self.limiter.bytes_limit))

    async def _take_seat(self) -> None:
        if self._free:
            self._free -= 1
            return
        if len(self._waiting) >= _WAITING:
            self._tell(next(iter(self._waiting)), seated=False)
        seat: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting[seat] = None
        self._hurry()
        try:
            seated = await seat
        except asyncio.CancelledError:
            if not seat.cancelled() and seat.result():
                self._leave_seat()
            raise
        finally:
            self._waiting.pop(seat, None)
        if not seated:
            REJECTED.labels("requests").inc()
            raise Overloaded("requests")

    def _leave_seat(self) -> None:
        """Give a seat to who came last of those that wait, or keep it free."""
        while self._waiting:
            if self._tell(next(reversed(self._waiting)), seated=True):
                return
        self._free += 1

    def _tell(self, seat: asyncio.Future[bool], *, seated: bool) -> bool:
        """Tell one who waits whether there is a seat; return whether it waits still."""
        del self._waiting[seat]
        waits = not seat.done()
        if waits:
            seat.set_result(seated)
        return waits

    def _hurry(self) -> None:
        """See that as many seats are given up soon as are waited for."""
        now_s = asyncio.get_running_loop().time()
        wanted = len(self._waiting) - len(self._hurried)
        for patience, since_s in list(islice(self._seated.items(), max(wanted, 0))):
            if not patience.expired():
                del self._seated[patience]
                self._hurried.add(patience)
                patience.reschedule(max(since_s + _SWIFT_S, now_s))
