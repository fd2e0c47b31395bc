"""One HTTP/1.1 connection: how long its client may take, and what it is answered.

A request is read whole before it is worked on, one at a time and in order; what a client sends
ahead waits in a piece that is bounded, and then in the system's buffers. Its states, and how long
each may last, are drawn in `model_server.http.state`.
"""

import asyncio
import contextlib
import logging
import socket
from typing import cast

from typing_extensions import override

from model_server.errors import (
    MethodNotAllowed,
    Overloaded,
    RequestError,
    TooSlow,
    Unexpected,
)
from model_server.http import error_responses
from model_server.http.messages import Request, Response
from model_server.http.request_parser import DISCARDED, Asked, RequestParser
from model_server.http.service import Service
from model_server.http.state import State
from model_server.metrics import DISCONNECTED, DRAINED, REJECTED

log = logging.getLogger("model_server")
access = logging.getLogger("model_server.access")

GONE = "the client has gone"
"""Why a request is cancelled whose connection is lost."""

_KEEP_ALIVE_S = 65
"""Longer than the idle time-out of a proxy in front, as KServe has it."""

_FAREWELL_S = 1.0
"""How old a connection may be that is still waited for when the server stops."""

_LINGER_S = 2.0

_AT_ONCE_BYTES = 64 * 1024
"""So much of an answer is handed to the transport at a time: what it holds back, TLS copies."""

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
CLOSE, _KEEP_ALIVE = b"connection: close\r\n", b"connection: keep-alive\r\n"


_READS = frozenset((State.IDLE, State.HEAD, State.BODY))
_LATE = {State.HEAD: ("header_timeout", "header"), State.BODY: ("body_timeout", "request")}
ENDS = frozenset((State.LINGERING, State.CLOSED))


class Connection(asyncio.Protocol):
    """An HTTP/1.1 connection within its limits.

    Parameters
    ----------
    service : Service

    Attributes
    ----------
    state : State
    client : (str, int) or None
        The address that it came from.
    secure : bool
        Whether TLS is spoken.
    since_s : float
        When this state began, in the time of the roster; that of a request, with its first byte.
    held_bytes, unread_bytes : int
        The room that it takes of all bodies': of one that comes in, and of an unread answer.
    """

    _parses: type[RequestParser] = RequestParser

    def __init__(self, service: Service) -> None:
        self._service = service
        self._roster = service.roster
        self._loop = asyncio.get_running_loop()
        self._transport = cast("asyncio.Transport", None)  # until it is made
        self._parser = self._parses(self, service.limits, service.roster)
        self._task: asyncio.Task[None] | None = None
        self.state = State.HANDSHAKE
        self.client: tuple[str, int] | None = None
        self.secure = False
        self.since_s = self._moved_s = service.roster.now_s
        self.held_bytes = self.unread_bytes = 0
        self._ahead = b""
        self._at = 0
        self._paused = False
        self._fresh = True
        self._too_many = False
        self._ended = False
        self._ended_sweeps = 0
        self._unread = False
        self._unsent, self._sent_bytes = b"", 0
        self._last = False
        self._unsent_bytes = self._discarded_bytes = 0

    # What asyncio tells.

    def accept(self, accepted: socket.socket) -> None:
        """Take a connection that the system has accepted, or prepare to refuse one too many."""
        self._too_many = not self._roster.add(self)
        if self._too_many and self._roster.crowded:
            accepted.close()
            self.connection_lost(None)
        else:
            self._task = self._loop.create_task(self._connect(accepted))

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to listen to the client: it is connected, and TLS is spoken where it has to be."""
        self._transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        self.client = tuple(peer[:2]) if peer else None
        self.secure = self._service.certificate is not None
        self._task = None
        self._wait_in(State.IDLE)

    @override
    def data_received(self, data: bytes) -> None:
        """Parse what came, up to the end of a request."""
        if self.state is State.LINGERING:
            self._discarded_bytes += len(data)
            if self._discarded_bytes > DISCARDED * self._service.limits.body_bytes:
                self._abort()
            return
        self._ahead = self._ahead[self._at :] + data if self._ahead else data
        self._at = 0
        self._go_on()

    @override
    def eof_received(self) -> bool:
        """Answer a client that sends no more what it has asked; TLS has no half that is left."""
        self._ended = True
        if self.state in _READS:
            self._close()
        elif self.secure and self.state is not State.LINGERING:
            self._abort()
        return self.state in (State.WORKING, State.UNREAD)

    @override
    def pause_writing(self) -> None:
        """Wait for the client to read, and count what it does not."""
        self._unread = True
        unsent_bytes = self._transport.get_write_buffer_size() + len(self._unsent)
        self._roster.hold_unread(self, unsent_bytes)

    @override
    def resume_writing(self) -> None:
        """Go on."""
        self._unread = False
        if self.state in (State.UNREAD, State.LINGERING):
            self._roster.free_unread(self)
        if self.state is State.UNREAD:
            self._send()
            if not self._unread:
                self._answered()
                self._go_on()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        """Stop working on what no one will read, and let everything go."""
        if self.state is State.CLOSED:
            return
        self.state = State.CLOSED
        self._roster.remove(self)
        self._let_go()

    # What the parser asks.

    def check(self, request: Request) -> None:
        """See by its head whether a request may come in.

        Raises
        ------
        RequestError
        """
        if self._too_many:
            raise Overloaded("connections")
        if request.method == "CONNECT":
            raise MethodNotAllowed("CONNECT: this server is no proxy", "GET, HEAD, POST")
        if self._service.authentication is not None:
            self._service.authentication.check(request)

    # What roster and listener ask.

    @property
    def idle(self) -> bool:
        """Whether no request has begun."""
        return self.state in (State.HANDSHAKE, State.IDLE)

    def evict(self, reason: str) -> None:
        """Let the client go, and say why where it has begun a request.

        TLS would have to wait for its farewell, and who has not read what it was told does not
        listen.
        """
        begun = self.state in (State.HEAD, State.BODY) and not self.secure
        if begun and not self._transport.get_write_buffer_size():
            self._answer_error(Overloaded(reason))
            self._close()
            self._loop.call_later(_LINGER_S, self._abort)  # no sweep comes by any more
        else:
            self._abort()

    def sweep(self) -> None:
        """End the connection if its client takes too long to send or to read."""
        if self.state in (State.UNREAD, State.LINGERING):
            self._sweep_unsent()
        elif self.state is not State.WORKING:
            if self._roster.now_s - self.since_s > self._patience_s():
                self._lose_patience()
        elif self._ended:  # one that has closed its half alone is answered by now, or has gone
            self._ended_sweeps += 1
            if self._ended_sweeps > 1:
                self._abort()

    def drain(self) -> None:
        """Count a request that is in flight when the server is told to stop."""
        if self.state is State.WORKING:
            DRAINED.labels("in flight").inc()

    def finish(self) -> None:
        """Close where nothing is begun; a new connection may still ask for a moment."""
        fresh = self._fresh and self._roster.now_s - self.since_s <= _FAREWELL_S
        if self.state is State.IDLE and not fresh:
            self._close()
        elif self.state is State.HANDSHAKE and not fresh:
            self._abort()

    def cut_off(self) -> None:
        """Answer what is still worked on with an error, and close."""
        if self.state is State.WORKING and self._task is not None:
            self._loop.call_soon(self._task.cancel)  # not before it has begun
        else:
            self._abort()

    # From bytes to answers.

    async def _connect(self, accepted: socket.socket) -> None:
        certificate = self._service.certificate
        try:
            await self._loop.connect_accepted_socket(
                lambda: self, accepted, ssl=None if certificate is None else certificate.context
            )
        except (Exception, asyncio.CancelledError) as error:
            self._task = None
            with contextlib.suppress(OSError):
                accepted.shutdown(socket.SHUT_RDWR)
            self.connection_lost(None)
            if not isinstance(error, OSError | asyncio.CancelledError):
                log.exception("a connection could not be taken")

    def _abort(self) -> None:
        """Close without a word, and hold nothing from now on."""
        if self._transport is None and self._task is not None and not self._task.done():
            self._loop.call_soon(self._task.cancel, GONE)  # not before it has begun
            return
        if self._transport is not None:
            self._transport.abort()
        self.connection_lost(None)

    def _go_on(self) -> None:
        """Parse, and answer, until the client or the handler is waited for."""
        parser = self._parser
        while self.state in _READS:
            if parser.requests:
                self._begin(parser.requests.popleft())
            elif parser.last_words is not None:
                self._refuse(parser.last_words)
            elif self._at < len(self._ahead):
                if self.state is State.IDLE:
                    self.since_s = self._roster.now_s
                self._at = parser.feed(self._ahead, self._at)
                self.state = parser.reading
            else:
                self._ahead, self._at = b"", 0
                if self._ended:
                    self._close()
                else:
                    self._tell_to_send()
                break
        self._hold_back()

    def _tell_to_send(self) -> None:
        """Tell a client that waits for it to send the body."""
        if self._parser.expects:
            self._parser.expects = False
            self._transport.write(_CONTINUE)

    def _hold_back(self) -> None:
        """Take no more from the client while something that it has sent is not parsed."""
        waiting = self._at < len(self._ahead)
        if waiting != self._paused and self.state not in ENDS:
            self._paused = waiting
            if waiting:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    def _begin(self, asked: Asked) -> None:
        """Have a request worked on, or answer why it is not."""
        self._fresh = False
        service = self._service
        if service.health.stopping:
            DRAINED.labels("late").inc()
        if asked.refusal is None and asked.counts:
            try:
                service.limiter.enter()
            except Overloaded as error:
                asked.refusal = error
        if asked.refusal is not None:
            service.limiter.shrink(asked.held_bytes)
            self._answer(asked, error_responses.answer(asked.refusal))
            return
        try:
            self._task = self._loop.create_task(self._work(asked))
        except MemoryError:
            self._give_back(asked)
            raise
        self.state = State.WORKING
        self._roster.works(self)

    async def _work(self, asked: Asked) -> None:
        try:
            with self._service.limiter.working(asked.held_bytes):
                response = await self._service.handler(asked.request)
        except RequestError as error:
            response = error_responses.answer(error)
        except asyncio.CancelledError as cancelled:
            if cancelled.args == (GONE,):
                DISCONNECTED.inc()
                return
            response = error_responses.answer(Overloaded("the server stops"), close=True)
        except Exception as error:
            log.exception("%s %s failed", asked.request.method, asked.request.path)
            response = error_responses.answer(Unexpected(error))
        finally:
            self._task = None
            self._give_back(asked)
        try:
            self._answer(asked, response)
            self._go_on()
        except Exception:
            log.exception("an answer could not be sent")
            self._abort()

    def _give_back(self, asked: Asked) -> None:
        """Give back place and room of a request that was begun."""
        self._service.limiter.shrink(asked.held_bytes)
        if asked.counts:
            self._service.limiter.leave()

    def _answer(self, asked: Asked, response: Response) -> None:
        if self.state in ENDS:
            return
        keeps = self._keeps(asked, response)
        line = CLOSE if not keeps else b"" if asked.request.version == "1.1" else _KEEP_ALIVE
        self._tell(asked.request, response)
        if self._service.cross_origin is not None:
            self._service.cross_origin.mark(asked.request, response)
        self._write(response, line, head_only=asked.request.method == "HEAD")
        self._finish_answer(keeps=keeps)

    def _keeps(self, asked: Asked, response: Response) -> bool:
        """Tell whether the client may ask more on this connection."""
        return (
            asked.keep_alive
            and not (response.close or self._too_many)
            and not self._service.health.stopping
        )

    def _tell(self, request: Request, response: Response) -> None:
        """Log an answer."""
        if access.isEnabledFor(logging.INFO):
            what = f"{request.method} {request.target.decode('latin-1')} HTTP/{request.version}"
            access.info('%s - "%s" %d', (self.client or ("",))[0], what, response.status)

    def _finish_answer(self, *, keeps: bool) -> None:
        self._last = not keeps
        if self._unsent or (self._unread and keeps):
            self._wait_in(State.UNREAD)
        else:
            self._answered()

    def _answered(self) -> None:
        """Go on to the next request, if there may be one."""
        if self._last:
            self._linger()
        else:
            self._wait_in(self._parser.reading)

    def _refuse(self, error: RequestError) -> None:
        """Answer what can't be read, and end."""
        self._answer_error(error)
        self._linger()

    def _answer_error(self, error: RequestError) -> None:
        self._write(error_responses.answer(error), CLOSE, head_only=self._parser.head_only)

    def _write(self, response: Response, line: bytes, *, head_only: bool) -> None:
        long = not head_only and len(response.body) > _AT_ONCE_BYTES
        self._transport.write(response.wire(self._roster.date, line, head_only=head_only or long))
        if long:
            self._unsent = response.body
            self._send()

    def _send(self) -> None:
        """Hand on as much of a long answer as the client reads."""
        while self._unsent and not (self._unread or self._transport.is_closing()):
            piece = self._unsent[self._sent_bytes : self._sent_bytes + _AT_ONCE_BYTES]
            self._sent_bytes += len(piece)
            if self._sent_bytes == len(self._unsent):
                self._unsent, self._sent_bytes = b"", 0
            self._transport.write(piece)

    def _wait_in(self, state: State) -> None:
        """Wait for the client."""
        self.state = state
        self.since_s = self._moved_s = self._roster.now_s
        self._roster.waits(self)

    def _linger(self) -> None:
        """Close; where the client may still send, take it until it has read the answer.

        Bytes that nobody takes would have the system reset the connection, and the answer with it.
        """
        sends = self._parser.reading is not State.IDLE or self._at < len(self._ahead)
        if not sends or self._ended or not self._transport.can_write_eof():
            self._close()
            return
        self._end()
        self._transport.write_eof()
        self._transport.resume_reading()

    def _close(self) -> None:
        """Close once what is written is sent, and TLS has said farewell."""
        self._end()
        self._transport.close()

    def _end(self) -> None:
        self._wait_in(State.LINGERING)
        self._let_go()

    def _let_go(self) -> None:
        """Stop working on what no one will read, and forget what was sent ahead."""
        if self._task is not None:
            self._loop.call_soon(self._task.cancel, GONE)  # not before it has begun
            self._task = None
        self._roster.free(self)
        if not self._unread or self.state is State.CLOSED:
            self._roster.free_unread(self)
        for asked in self._parser.requests:
            self._service.limiter.shrink(asked.held_bytes)
        self._parser.clear()
        self._ahead, self._at = b"", 0
        self._unsent, self._sent_bytes = b"", 0

    def _patience_s(self) -> float:
        if self.state is State.IDLE and not self._fresh:
            return _KEEP_ALIVE_S
        limits = self._service.limits
        return limits.body_timeout_s if self.state is State.BODY else limits.header_timeout_s

    def _lose_patience(self) -> None:
        if self.state is State.IDLE:
            self._close()
        elif self.state is State.HANDSHAKE:
            REJECTED.labels("handshake_timeout").inc()
            self._abort()
        else:
            reason, what = _LATE[self.state]
            REJECTED.labels(reason).inc()
            self._refuse(TooSlow(f"no whole {what} in {self._patience_s()} s"))

    def _sweep_unsent(self) -> None:
        waited_s = self._roster.now_s - self._moved_s
        unsent_bytes = len(self._unsent) - self._sent_bytes
        unsent_bytes += self._transport.get_write_buffer_size()
        if unsent_bytes == 0:
            if waited_s > _LINGER_S:
                self._abort()
        elif unsent_bytes != self._unsent_bytes:
            self._unsent_bytes = unsent_bytes
            self._moved_s = self._roster.now_s
        elif waited_s > self._service.limits.body_timeout_s:
            REJECTED.labels("read_timeout").inc()
            self._abort()
