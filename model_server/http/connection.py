"""One HTTP connection, with limits on what its client may send and on how long it may take.

uvicorn's protocol waits for ever for a request's head and body, and takes a head of any length.
This one is swept once a second by the server.

It also offers applications to send a response's head and body in one write, where uvicorn makes
two: on a loopback or a fast network a write costs about as much as all else that a small answer
takes.
"""

import asyncio
import logging
import resource
from dataclasses import dataclass, replace
from typing import Any, Self

from starlette.types import Receive, Scope, Send
from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from model_server.errors import (
    BadRequest,
    HeaderTooLarge,
    Overloaded,
    RequestError,
    TooLarge,
    TooSlow,
)
from model_server.http import error_responses
from model_server.inference.health import Health
from model_server.metrics import DRAINED, REJECTED

log = logging.getLogger("model_server")

JOIN = "model_server.join"
"""The extension in a request's scope, a function, that sends its next two writes as one."""

GONE = "the client has gone"
"""Why a request is cancelled whose connection is lost."""

_OTHER_FILES = 256

_LATE = 0.25
"""So many connections beyond the limit, as a share of it, are still told why they are refused."""

_FAREWELL_S = 1.0
"""How old a connection may be that is still waited for when the server stops."""

_BODY_ROOM = 5
"""So many times the longest body a request may be with all that chunks and trailers add."""


@dataclass(frozen=True)
class Limits:
    """What one connection, and how many of them, may take.

    The time-outs of header and body count from the first byte of a request, that of a drain from
    when the server was told to stop.
    """

    connections: int
    header_bytes: int
    body_bytes: int
    header_timeout_s: float
    body_timeout_s: float
    drain_timeout_s: int

    def fit_to_open_files(self) -> Self:
        """Raise this process's limit on open files to what is wanted, or want less connections."""
        wanted = int(self.connections * (1 + _LATE)) + _OTHER_FILES
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft == resource.RLIM_INFINITY or wanted <= soft:
            return self
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        if most == wanted:
            return self
        connections = max(int((most - _OTHER_FILES) / (1 + _LATE)), 1)
        log.warning("at most %d connections, as %d files may be open", connections, most)
        return replace(self, connections=connections)


class JoiningTransport:
    """A transport that can be told to keep the next write back until the one after it.

    Parameters
    ----------
    transport : asyncio.Transport
        Does everything else.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._joining = False
        self._head = b""

    def join(self) -> None:
        """Send the next two writes as one."""
        self._joining = True

    def write(self, data: bytes) -> None:
        """Write, or keep back the first of two."""
        if self._transport.is_closing():
            return
        if self._joining:
            self._joining = False
            self._head = data
            return
        if self._head:
            data = self._head + data
            self._head = b""
        self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class Connection(HttpToolsProtocol):
    """An HTTP/1.1 connection within its limits."""

    def __init__(self, *args: Any, limits: Limits, health: Health, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._limits = limits
        self._health = health
        self._header_timeout_s = limits.header_timeout_s
        self._room_bytes = limits.header_bytes
        self._in_head = True
        self._in_body = False
        self._begun = False
        self._since_s = 0.0
        self._unsent_bytes = 0
        self._unsent_since_s = 0.0
        self._too_many = False
        self._task: asyncio.Task[None] | None = None

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, or prepare to refuse one too many."""
        joining = JoiningTransport(transport)
        self._extensions = {JOIN: joining.join}
        super().connection_made(joining)  # type: ignore[arg-type]
        self._since_s = self.loop.time()
        beyond = len(self.connections) - self._limits.connections
        if beyond > 0:
            REJECTED.labels("connections").inc()
            self._too_many = True
            if beyond > _LATE * self._limits.connections:
                self.transport.abort()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        """Stop working on what no one will read."""
        super().connection_lost(exc)
        if self._task is not None and self.cycle.disconnected:
            self._task.cancel(GONE)

    @override
    def data_received(self, data: bytes) -> None:
        """Parse what came, where there is room for it."""
        if len(data) > self._room_bytes and self._overflows(data):
            return
        super().data_received(data)
        if self._in_head or self._in_body:
            self._room_bytes -= len(data)

    @override
    def on_message_begin(self) -> None:
        """Begin to wait for the head."""
        super().on_message_begin()
        self.scope["extensions"] = self._extensions  # type: ignore[typeddict-item]
        self._begun = self._in_head = True
        self._since_s = self.loop.time()

    @override
    def on_headers_complete(self) -> None:
        """Begin to wait for the body."""
        self._in_head, self._in_body = False, True
        self._room_bytes = _BODY_ROOM * self._limits.body_bytes
        super().on_headers_complete()

    @override
    def on_message_complete(self) -> None:
        """Wait for nothing but the answer."""
        super().on_message_complete()
        self._in_body = False
        self._room_bytes = self._limits.header_bytes

    def sweep(self, now_s: float) -> None:
        """End the connection if its client takes too long to send or to read.

        Parameters
        ----------
        now_s : float
            The event loop's time.
        """
        waited_s = now_s - self._since_s
        if self._in_head and not self._begun and waited_s > self._header_timeout_s:
            self.transport.close()
        elif self._in_head and self._begun and waited_s > self._limits.header_timeout_s:
            REJECTED.labels("header_timeout").inc()
            self._refuse(TooSlow(f"no whole header in {self._limits.header_timeout_s} s"))
        elif self._in_body and waited_s > self._limits.body_timeout_s:
            REJECTED.labels("body_timeout").inc()
            self._refuse(TooSlow(f"no whole request in {self._limits.body_timeout_s} s"))
        self._sweep_unsent(now_s)

    def drain(self) -> None:
        """Close with the answer in flight, as the server stops soon."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False
            DRAINED.labels("in flight").inc()

    @override
    def shutdown(self) -> None:
        """Close once what was begun is answered; a new connection may still ask."""
        self._header_timeout_s = min(self._header_timeout_s, _FAREWELL_S)
        if not self._in_head:
            super().shutdown()

    @override
    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP."""
        self._refuse(BadRequest(f"not an HTTP/1.1 request: {msg}"))

    @override
    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        if self._too_many:
            app = _refuse_connection
        if self._health.stopping:
            cycle.keep_alive = False
            DRAINED.labels("late").inc()
        self._task = self.loop.create_task(cycle.run_asgi(app))
        self._task.add_done_callback(self.tasks.discard)
        self.tasks.add(self._task)

    @override
    def _unsupported_upgrade_warning(self) -> None:
        """Say nothing: a client that offers an upgrade is answered without one."""

    def _overflows(self, data: bytes) -> bool:
        if self._in_body:
            REJECTED.labels("body").inc()
            self._refuse(TooLarge("the chunks are longer than any body may be; send fewer rows"))
            return True
        if data.find(b"\r\n\r\n", 0, self._room_bytes) >= 0:
            return False
        REJECTED.labels("header").inc()
        limit_bytes = self._limits.header_bytes
        self._refuse(HeaderTooLarge(f"the headers are longer than {limit_bytes} bytes; send less"))
        return True

    def _sweep_unsent(self, now_s: float) -> None:
        unsent_bytes = self.transport.get_write_buffer_size()
        if self.transport.is_closing() and unsent_bytes == 0:  # TLS waits for the client's farewell
            self.transport.abort()
        elif unsent_bytes == 0 or unsent_bytes != self._unsent_bytes:
            self._unsent_bytes, self._unsent_since_s = unsent_bytes, now_s
        elif now_s - self._unsent_since_s > self._limits.body_timeout_s:
            REJECTED.labels("read_timeout").inc()
            self.transport.abort()

    def _refuse(self, error: RequestError) -> None:
        if self.transport.is_closing():
            self.transport.abort()
            return
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            self.transport.write(error_responses.wire(error))
        self.transport.close()


async def _refuse_connection(_: Scope, __: Receive, send: Send) -> None:
    await error_responses.send_error(send, Overloaded("connections"), close=True)


USED = {
    HttpToolsProtocol: ("connections", "cycle", "loop", "scope", "tasks", "transport"),
    RequestResponseCycle: (
        *("disconnected", "keep_alive", "response_complete", "response_started", "run_asgi"),
    ),
}
"""What is used of uvicorn's own; see `model_server.overrides`."""
