"""From responses to bytes: those of one connection are written no faster than its client reads."""

import logging
from typing import TYPE_CHECKING, cast

from model_server.errors import RequestError
from model_server.http import error_responses
from model_server.http.messages import Request, Response
from model_server.http.roster import Member
from model_server.http.service import Service

if TYPE_CHECKING:
    import asyncio

access = logging.getLogger("model_server.access")

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
CLOSE, _KEEP_ALIVE = b"connection: close\r\n", b"connection: keep-alive\r\n"

_AT_ONCE_BYTES = 64 * 1024
"""So much of a body is handed to the transport at a time: what it holds back, TLS copies."""


class ResponseWriter:
    """Writes the responses of one connection.

    Parameters
    ----------
    sender : Member
        The connection, for which the roster counts what its client does not read.
    service : Service

    Attributes
    ----------
    transport : asyncio.Transport
        That of the connection, once it is made.
    unsent : bytes
        A long body, until all of it is handed to the transport.
    unread : bool
        Whether the client has to read before more is handed on.
    moved_s : float
        When the client last read or began to be waited for, in the time of the roster.
    """

    def __init__(self, sender: Member, service: Service) -> None:
        self._sender = sender
        self._roster = service.roster
        self._cross_origin = service.cross_origin
        self.transport = cast("asyncio.Transport", None)
        self.unsent, self._sent_bytes = b"", 0
        self.unread = False
        self.moved_s = service.roster.now_s
        self._left_bytes = 0

    def answer(self, request: Request, response: Response, *, keeps: bool) -> None:
        """Write the response to a request; `keeps` tells whether the client may ask more."""
        line = CLOSE if not keeps else b"" if request.version == "1.1" else _KEEP_ALIVE
        self.tell(request, response)
        if self._cross_origin is not None:
            self._cross_origin.mark(request, response)
        self._write(response, line, head_only=request.method == "HEAD")

    def refuse(self, error: RequestError, *, head_only: bool) -> None:
        """Write the response to what can't be read, the last one."""
        self._write(error_responses.answer(error), CLOSE, head_only=head_only)

    def tell_to_send(self) -> None:
        """Have a client that waits for it send the body."""
        self.transport.write(_CONTINUE)

    def tell(self, request: Request, response: Response) -> None:
        """Log an answer."""
        if access.isEnabledFor(logging.INFO):
            what = f"{request.method} {request.target.decode('latin-1')} HTTP/{request.version}"
            access.info('%s - "%s" %d', (request.client or ("",))[0], what, response.status)

    def go_on(self) -> None:
        """Hand on as much of a long body as the client reads."""
        while self.unsent and not (self.unread or self.transport.is_closing()):
            piece = self.unsent[self._sent_bytes : self._sent_bytes + _AT_ONCE_BYTES]
            self._sent_bytes += len(piece)
            if self._sent_bytes == len(self.unsent):
                self.clear()
            self.transport.write(piece)

    def pause(self) -> None:
        """Hand nothing on, and count what the client does not read."""
        self.unread = True
        unsent_bytes = self.transport.get_write_buffer_size() + len(self.unsent)
        self._roster.hold_unread(self._sender, unsent_bytes)

    def resume(self) -> None:
        """Note that the client has read enough for more."""
        self.unread = False
        self._roster.free_unread(self._sender)

    def clear(self) -> None:
        """Forget what is not handed on."""
        self.unsent, self._sent_bytes = b"", 0

    @property
    def left_bytes(self) -> int:
        """How much the client has yet to read."""
        return len(self.unsent) - self._sent_bytes + self.transport.get_write_buffer_size()

    def stalled_s(self) -> float:
        """Return for how long the client has read nothing, as seen from one call to the next."""
        left_bytes = self.left_bytes
        if left_bytes and left_bytes != self._left_bytes:
            self._left_bytes = left_bytes
            self.moved_s = self._roster.now_s
        return self._roster.now_s - self.moved_s

    def _write(self, response: Response, line: bytes, *, head_only: bool) -> None:
        long = not head_only and len(response.body) > _AT_ONCE_BYTES
        self.transport.write(response.wire(self._roster.date, line, head_only=head_only or long))
        if long:
            self.unsent = response.body
            self.go_on()
