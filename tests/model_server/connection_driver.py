"""Connections of one roster in this process: a transport, a clock and handlers that tests play.

The transport behaves as uvloop's does, seen from the protocol: it delivers nothing while reading is
paused, tells of a loss a turn later, and takes what its client does not read into a buffer.
"""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast
from unittest import mock

from model_server.http import roster as roster_module
from model_server.http.authentication import Authentication
from model_server.http.connection import Connection
from model_server.http.limits import Limits
from model_server.http.listener import Listener
from model_server.http.messages import Request, Response
from model_server.http.roster import Roster
from model_server.http.service import Service
from model_server.http.state import State
from model_server.inference.health import Health
from model_server.inference.in_flight import InFlightLimiter

if TYPE_CHECKING:
    from model_server.http.tls import Certificate

HIGH_WATER, LOW_WATER = 1000, 250
_TURNS = 6

LIMITS = Limits(
    connections=4, header_bytes=600, body_bytes=1000, header_timeout_s=10, body_timeout_s=30
)


class Wire(asyncio.Transport):
    """A transport, and the client at its other end.

    Attributes
    ----------
    written, taken : bytearray
        What the server has written, and what the client has read of it.
    reads : bool
        Whether it reads what is written.
    unread_bytes : int
        How much was unread when the protocol was last asked to pause, until it may go on.
    end : str
        How the server has ended it: ``end`` of its half, ``close``, ``abort``.
    closing, lost : bool
    faults : list of str
        What a protocol may not do.
    """

    def __init__(self, *, secure: bool) -> None:
        super().__init__({"peername": ("192.0.2.1", 1)})
        self.handshaken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.written, self.taken = bytearray(), bytearray()
        self.reads = True
        self.unread_bytes = 0
        self.end = ""
        self.closing = self.lost = False
        self.faults: list[str] = []
        self._secure = secure
        self._unsent = bytearray()
        self._unread: list[bytes] = []
        self._reading = True
        self._full = False

    def connect(self, protocol: Connection) -> None:
        self._protocol = protocol
        protocol.connection_made(self)

    # What the client does.

    def send(self, data: bytes) -> None:
        """Send bytes; none for the end of what it sends."""
        self._unread.append(data)
        self._deliver()

    def reset(self) -> None:
        self._lose(ConnectionResetError())

    def read(self, length_bytes: int) -> None:
        """Take so much of what waits for it."""
        self.taken += self._unsent[:length_bytes]
        del self._unsent[:length_bytes]
        if self._full and len(self._unsent) <= LOW_WATER:
            self._full, self.unread_bytes = False, 0
            self._protocol.resume_writing()
        self._flushed()

    # What a protocol asks.

    def write(self, data: Any) -> None:
        if self.end:
            self.faults.append(f"{bytes(data)!r} is written after the end")
        if self.lost:
            return
        self.written += data
        self._unsent += data
        if self.reads:
            self.read(len(self._unsent))
        elif len(self._unsent) > HIGH_WATER and not self._full:
            self._full, self.unread_bytes = True, len(self._unsent)
            self._protocol.pause_writing()

    def get_write_buffer_size(self) -> int:
        return len(self._unsent)

    def is_closing(self) -> bool:
        return self.closing

    def can_write_eof(self) -> bool:
        return not self._secure

    def write_eof(self) -> None:
        self.end = "end"

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        if not self._reading and not self.closing:
            self._reading = True
            asyncio.get_running_loop().call_soon(self._deliver)

    def close(self) -> None:
        if not self.closing:
            self.end = "close"
            self.closing, self._reading = True, False
            self._flushed()

    def abort(self) -> None:
        if not self.lost:
            self.end = "abort"
        self._lose(None)

    def _deliver(self) -> None:
        while self._unread and self._reading and not self.closing:
            data = self._unread.pop(0)
            if data:
                self._protocol.data_received(data)
            elif self._protocol.eof_received() and not self._secure:
                self._reading = False
            else:
                self.close()

    def _flushed(self) -> None:
        if self.closing and not self._unsent:
            self._lose(None)

    def _lose(self, reason: Exception | None) -> None:
        if not self.lost:
            self.closing, self.lost, self._reading = True, True, False
            asyncio.get_running_loop().call_soon(self._protocol.connection_lost, reason)


class Accepted:
    """A socket that the system has accepted; its wire is connected when TLS is agreed on."""

    def __init__(self, *, secure: bool) -> None:
        self.wire = Wire(secure=secure)
        self.closed = False

    def close(self) -> None:
        self.closed = True

    def shutdown(self, _: int) -> None:
        self.closed = True


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        super().__init__()

    def time(self) -> float:
        return self._clock()

    async def connect_accepted_socket(self, protocol_factory: Any, sock: Any, **_: Any) -> Any:
        await sock.wire.handshaken
        sock.wire.connect(protocol_factory())


async def _turn() -> None:
    """Let the loop turn until all that follows at once has happened."""
    for _ in range(_TURNS):
        await asyncio.sleep(0)


class Asked:
    """A request that has come to the handler."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self._answer: asyncio.Future[Response] = asyncio.get_running_loop().create_future()

    async def answered(self) -> Response:
        return await self._answer

    def answer(self, response: Response | Exception) -> None:
        if isinstance(response, Exception):
            self._answer.set_exception(response)
        else:
            self._answer.set_result(response)


class Stage:
    """A roster with its limiter, a listener that sweeps it, and a clock.

    Attributes
    ----------
    working : list of Asked
        What the handler was asked and has not answered, the oldest first.
    now_s : float
        The time, which moves by `wait` alone.
    """

    def __init__(
        self,
        *,
        limits: Limits = LIMITS,
        requests_limit: int = 4,
        bytes_limit: int = 3000,
        secure: bool = False,
        authentication: Authentication | None = None,
    ) -> None:
        self.now_s = 0.0
        self.working: list[Asked] = []
        self.secure = secure
        self._loop = _Loop(lambda: self.now_s)
        clock = SimpleNamespace(monotonic=self._loop.time)
        self._clock = mock.patch.object(roster_module, "time", clock)
        self._clock.start()
        self._loop.set_exception_handler(self._note)
        self.faults: list[str] = []
        self.limiter = InFlightLimiter(requests_limit, bytes_limit)
        self.roster = Roster(limits.connections, limits.late_connections, self.limiter)
        certificate = cast("Certificate", SimpleNamespace(context=None)) if secure else None
        self.service = Service(
            *(self._handle, authentication, limits, self.limiter, self.roster, Health()),
            certificate,
        )
        self.listener = Listener(self.service)

    def close(self) -> None:
        """End what is left."""
        self.play(
            lambda: [task.cancel() for task in asyncio.all_tasks() - {asyncio.current_task()}]
        )
        self._loop.close()
        self._clock.stop()

    def play(self, scene: Callable[[], object]) -> None:
        """Let something happen, and all that follows at once."""

        async def play() -> None:
            scene()
            await _turn()

        self._loop.run_until_complete(play())

    def accept(self, *, handshaken: bool = True) -> tuple[Connection, Accepted]:
        """Accept a connection."""
        made = []

        def scene() -> None:
            connection, accepted = Connection(self.service), Accepted(secure=self.secure)
            made.append((connection, accepted))
            if handshaken:
                accepted.wire.handshaken.set_result(None)
            connection.accept(cast("Any", accepted))

        self.play(scene)
        return made[0]

    def wait(self, seconds: float) -> None:
        """Let time pass, with a sweep in each second."""
        end_s = self.now_s + seconds

        async def wait() -> None:
            while self.now_s < end_s:
                self.now_s = min(self.now_s + 1, end_s)
                await self.listener.sweep()
                await _turn()

        self._loop.run_until_complete(wait())

    def stop(self) -> None:
        """Tell the server to stop."""
        self.service.health.stopping = True
        self.play(self.listener.drain)

    def evict(self, connection: Connection) -> None:
        """Let a connection go, as the roster does that has forgotten it first."""
        self.roster.remove(connection)
        self.play(lambda: connection.evict("connections"))

    def for_all(self, do: Callable[[Connection], object]) -> None:
        """Do something to every connection, as the listener does at its end."""
        members = cast("list[Connection]", self.roster.members())
        self.play(lambda: [do(connection) for connection in members])

    async def _handle(self, request: Request) -> Response:
        asked = Asked(request)
        self.working.append(asked)
        try:
            return await asked.answered()
        finally:
            self.working.remove(asked)

    def _note(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.faults.append(str(context.get("exception", context["message"])))


def held_bytes(connection: Connection) -> int:
    """Return what a connection holds of bodies that are not asked about yet."""
    if connection.state is State.CLOSED:
        return 0
    parser = connection._parser
    if parser._parser is None:
        return 0
    parts = sum(map(len, parser._parts))
    return parts + sum(len(asked.request.body) for asked in parser.requests)
