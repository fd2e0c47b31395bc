"""One HTTP/1.1 connection: what it does next, and how long its client may take.

A request is read whole before it is worked on, one at a time and in order; what a client sends
ahead waits in a piece that is bounded, and then in the system's buffers. Its states, and how long
each may last, are drawn in `model_server.http.state`.

What comes goes through a parser, the handling and a writer, each of which knows its own step alone.
"""

import asyncio
import contextlib
import logging
import socket
from typing import cast

from typing_extensions import override

from model_server.errors import MethodNotAllowed, Overloaded, RequestError, TooSlow
from model_server.http import error_responses
from model_server.http.handling import Handling
from model_server.http.messages import Request, Response
from model_server.http.request_parser import DISCARDED, Asked, RequestParser
from model_server.http.response_writer import ResponseWriter
from model_server.http.service import Service
from model_server.http.state import ENDS, READS, State
from model_server.metrics import DRAINED, REJECTED

log = logging.getLogger("model_server")

_FAREWELL_S = 1.0
"""How old a connection may be that is still waited for when the server stops."""

_LINGER_S = 2.0

_LATE = {State.HEAD: ("header_timeout", "header"), State.BODY: ("body_timeout", "request")}


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
        self._handling = Handling(service, self._go_on_with)
        self._writer = ResponseWriter(self, service)
        self._connecting: asyncio.Task[None] | None = None
        self.state = State.HANDSHAKE
        self.client: tuple[str, int] | None = None
        self.secure = False
        self.since_s = service.roster.now_s
        self.held_bytes = self.unread_bytes = 0
        self._ahead = b""
        self._at = 0
        self._paused = False
        self._fresh = True
        self._too_many = False
        self._ended = False
        self._ended_sweeps = 0
        self._last = False
        self._discarded_bytes = 0

    # What asyncio tells.

    def accept(self, accepted: socket.socket) -> None:
        """Take a connection that the system has accepted, or prepare to refuse one too many."""
        self._too_many = not self._roster.add(self)
        if self._too_many and self._roster.crowded:
            accepted.close()
            self.connection_lost(None)
        else:
            self._connecting = self._loop.create_task(self._connect(accepted))

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to listen to the client: it is connected, and TLS is spoken where it has to be."""
        self._transport = self._writer.transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        self.client = tuple(peer[:2]) if peer else None
        self.secure = self._service.certificate is not None
        self._connecting = None
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
        if self.state in READS:
            self._close()
        elif self.secure and self.state is not State.LINGERING:
            self._abort()
        return self.state in (State.WORKING, State.UNREAD)

    @override
    def pause_writing(self) -> None:
        """Wait for the client to read, and count what it does not."""
        self._writer.pause()

    @override
    def resume_writing(self) -> None:
        """Go on."""
        self._writer.resume()
        if self.state is State.UNREAD:
            self._writer.go_on()
            if not self._writer.unread:
                self._answered()
                self._go_on()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        """Stop working on what no one will read, and let everything go."""
        if self.state is State.CLOSED:
            return
        self.state = State.CLOSED
        self._roster.remove(self)
        self._roster.free_unread(self)
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
            self._writer.refuse(Overloaded(reason), head_only=self._parser.head_only)
            self._close()
            self._loop.call_later(_LINGER_S, self._abort)  # no sweep comes by any more
        else:
            self._abort()

    def sweep(self) -> None:
        """End the connection if its client takes too long to send or to read."""
        if self.state in (State.UNREAD, State.LINGERING):
            self._sweep_unread()
        elif self.state is not State.WORKING:
            patience_s = self._service.limits.patience_s(self.state, fresh=self._fresh)
            if self._roster.now_s - self.since_s > patience_s:
                self._lose_patience(patience_s)
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
        if self.state is State.WORKING:
            self._handling.cut_off()
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
            self._connecting = None
            with contextlib.suppress(OSError):
                accepted.shutdown(socket.SHUT_RDWR)
            self.connection_lost(None)
            if not isinstance(error, OSError | asyncio.CancelledError):
                log.exception("a connection could not be taken")

    def _abort(self) -> None:
        """Close without a word, and hold nothing from now on."""
        if self._connecting is not None and not self._connecting.done():
            self._loop.call_soon(self._connecting.cancel)  # not before it has begun
            return
        if self._transport is not None:
            self._transport.abort()
        self.connection_lost(None)

    def _go_on(self) -> None:
        """Parse, and answer, until the client or the handler is waited for."""
        parser = self._parser
        while self.state in READS:
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
                elif parser.expects:
                    self._tell_to_send()
                break
        self._hold_back()

    def _tell_to_send(self) -> None:
        """Tell a client that waits for it to send the body."""
        self._parser.expects = False
        self._writer.tell_to_send()

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
        if self._service.health.stopping:
            DRAINED.labels("late").inc()
        refusal = self._handling.begin(asked)
        if refusal is None:
            self.state = State.WORKING
            self._roster.works(self)
        else:
            self._answer(asked, error_responses.answer(refusal))

    def _go_on_with(self, asked: Asked, response: Response) -> None:
        """Answer what was worked on, and go on."""
        try:
            self._answer(asked, response)
            self._go_on()
        except Exception:
            log.exception("an answer could not be sent")
            self._abort()

    def _answer(self, asked: Asked, response: Response) -> None:
        if self.state in ENDS:
            return
        keeps = self._keeps(asked, response)
        self._writer.answer(asked.request, response, keeps=keeps)
        self._finish_answer(keeps=keeps)

    def _keeps(self, asked: Asked, response: Response) -> bool:
        """Tell whether the client may ask more on this connection."""
        return (
            asked.keep_alive
            and not (response.close or self._too_many)
            and not self._service.health.stopping
        )

    def _finish_answer(self, *, keeps: bool) -> None:
        self._last = not keeps
        if self._writer.unsent or (self._writer.unread and keeps):
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
        self._writer.refuse(error, head_only=self._parser.head_only)
        self._linger()

    def _wait_in(self, state: State) -> None:
        """Wait for the client."""
        self.state = state
        self.since_s = self._writer.moved_s = self._roster.now_s
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
        self._handling.abandon()
        self._roster.free(self)
        for asked in self._parser.requests:
            self._service.limiter.shrink(asked.held_bytes)
        self._parser.clear()
        self._ahead, self._at = b"", 0
        self._writer.clear()

    def _lose_patience(self, patience_s: float) -> None:
        if self.state is State.IDLE:
            self._close()
        elif self.state is State.HANDSHAKE:
            REJECTED.labels("handshake_timeout").inc()
            self._abort()
        else:
            reason, what = _LATE[self.state]
            REJECTED.labels(reason).inc()
            self._refuse(TooSlow(f"no whole {what} in {patience_s} s"))

    def _sweep_unread(self) -> None:
        stalled_s = self._writer.stalled_s()
        if self._writer.left_bytes == 0:
            if stalled_s > _LINGER_S:
                self._abort()
        elif stalled_s > self._service.limits.body_timeout_s:
            REJECTED.labels("read_timeout").inc()
            self._abort()
