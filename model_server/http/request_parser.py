"""From bytes to requests: httptools parses, and a request is within its limits or refused.

A request that is refused is still read to its end, and thrown away, so that what follows it on the
connection is understood.
"""

import logging
from collections import deque
from dataclasses import dataclass
from typing import Protocol, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from model_server.errors import (
    BadRequest,
    HeaderTooLarge,
    RequestError,
    TooLarge,
    Unexpected,
    Unsupported,
)
from model_server.http.limits import Limits
from model_server.http.messages import Header, Request, split_target
from model_server.http.roster import Member, Roster
from model_server.http.state import State
from model_server.metrics import REJECTED

log = logging.getLogger("model_server")

_VERSIONS = ("1.0", "1.1")

_PIECE_BYTES = 8192
"""So much is parsed at a time while no body is read: so many requests may be sent ahead at most."""

_BODY_ROOM = 5
"""So many times the longest body a request may be with all that chunks and trailers add."""

_CALLBACK_FAILED = "User callback error"
"""What httptools tells, and not why, where it had no memory for target or header."""

DISCARDED = 4
"""So many times the longest body is thrown away of one that is refused, as most clients send all
before they listen."""


@dataclass(slots=True)
class Asked:
    """A request, how it was asked, and why it is refused, if it is.

    Attributes
    ----------
    request : Request
    keep_alive : bool
        Whether the client may ask more on its connection.
    refusal : RequestError or None
    held_bytes : int
        The room that its body takes.
    """

    request: Request
    keep_alive: bool
    refusal: RequestError | None = None
    held_bytes: int = 0

    @property
    def counts(self) -> bool:
        """Whether it is one of the requests in flight: one that may have a body."""
        return not self.request.only_reads


class Receiver(Member, Protocol):
    """The connection whose bytes are parsed."""

    client: tuple[str, int] | None
    secure: bool

    def check(self, request: Request) -> None:
        """See by its head whether a request may come in; raises `RequestError`."""


class RequestParser:
    """Reads the requests of one connection.

    Parameters
    ----------
    receiver : Receiver
    limits : Limits
    roster : Roster
        Which counts what comes in of bodies.

    Attributes
    ----------
    reading : State
        ``IDLE``, ``HEAD`` or ``BODY``: what of a request comes next.
    requests : deque of Asked
        Those that are whole.
    last_words : RequestError or None
        What ends the connection once these are answered.
    expects : bool
        Whether the client waits to be told to send the body that comes next.
    """

    def __init__(self, receiver: Receiver, limits: Limits, roster: Roster) -> None:
        self._receiver = receiver
        self._limits = limits
        self._roster = roster
        self._parser = HttpRequestParser(self)
        self.reading = State.IDLE
        self.requests: deque[Asked] = deque()
        self.last_words: RequestError | None = None
        self.expects = False
        self._room_bytes = limits.header_bytes
        self._target = b""
        self._headers: list[Header] = []
        self._asked = cast("Asked", None)
        self._parts: list[bytes] = []
        self._length_bytes = 0
        self._declined = False
        self._resuming = False
        self._follows = False

    @property
    def head_only(self) -> bool:
        """Whether an answer now is one to a HEAD request, and has no body."""
        return self.reading is State.BODY and self._asked.request.method == "HEAD"

    def feed(self, data: bytes, begin: int) -> int:
        """Parse a piece of what came, where no request is whole.

        Parameters
        ----------
        data : bytes
        begin : int
            Where the piece begins.

        Returns
        -------
        int
            Where the next one does.
        """
        if self.reading is State.IDLE:
            self.reading, self._follows = State.HEAD, False
        before = self.reading
        most = self._room_bytes
        if before is State.HEAD and most > _PIECE_BYTES:
            most = _PIECE_BYTES
        piece: bytes | memoryview = data
        if begin or len(data) > most:
            piece = memoryview(data)[begin : begin + most]
        length_bytes = len(piece)
        try:
            self._parser.feed_data(piece)
        except HttpParserUpgrade as upgrade:
            length_bytes = upgrade.args[0]
            self._decline_upgrade()
        except HttpParserError as error:
            self.last_words = self.last_words or _refusal(error)
        if self.reading is before and not self.requests:  # else it is the room of a later one
            self._room_bytes -= length_bytes
            if self._room_bytes <= 0:
                self.last_words = self.last_words or self._too_long()
        return begin + length_bytes

    def clear(self) -> None:
        """Forget everything: no more is read."""
        self.requests.clear()
        self._parts.clear()
        self._parser, self._asked = cast("HttpRequestParser", None), cast("Asked", None)

    # What httptools tells.

    def on_message_begin(self) -> None:
        """Begin a request; none that follows the last words counts, nor has it their answer."""
        if not self._resuming and self.last_words is None:
            self._target, self._headers, self.reading = b"", [], State.HEAD

    def on_url(self, target: bytes) -> None:
        """Take some of the target."""
        self._target += target

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; of a trailer nothing is taken."""
        if self.reading is State.HEAD:
            self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """See whether the request is one whose body is kept."""
        if self._resuming:
            self._resuming = False
            return
        if self.last_words is not None:
            return
        parser, receiver = self._parser, self._receiver
        request = Request(
            parser.get_method().decode("latin-1"),
            *(self._target, *split_target(self._target), self._headers),
            *(parser.get_http_version(), receiver.client, receiver.secure),
        )
        self._asked = Asked(request, parser.should_keep_alive())
        self.reading, self._length_bytes = State.BODY, 0
        self._room_bytes = _BODY_ROOM * self._limits.body_bytes
        self._declined = parser.should_upgrade()
        try:
            self._check(request)
        except RequestError as error:
            self._asked.refusal = error

    def on_body(self, data: bytes) -> None:
        """Keep some of the body, while there is room for it."""
        asked = self._asked
        self._length_bytes += len(data)
        if asked.refusal is None:
            try:
                if self._length_bytes > self._limits.body_bytes:
                    raise self._too_large()
                self._roster.hold(self._receiver, len(data))
            except RequestError as error:
                asked.refusal = error
                self._roster.free(self._receiver)
                self._parts = []
            else:
                self._parts.append(data)
        elif self._length_bytes > DISCARDED * self._limits.body_bytes:
            self.last_words = self.last_words or asked.refusal

    def on_message_complete(self) -> None:
        """Have a request that is whole."""
        if self._declined or self.last_words is not None:
            return
        asked = self._asked
        asked.request.body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        asked.held_bytes, self._receiver.held_bytes = self._receiver.held_bytes, 0
        self.requests.append(asked)
        self._parts = []
        self._begin_anew()

    def _begin_anew(self) -> None:
        """Be ready for the next request, which may be in the same piece."""
        self.reading, self.expects = State.IDLE, False
        self._room_bytes, self._follows = self._limits.header_bytes, True

    # What it is made of.

    def _decline_upgrade(self) -> None:
        """Read the body of a request that offers to change the protocol, as if it did not.

        The parser takes what follows the head for the other protocol's, so a new one is told of
        the same body.
        """
        self._declined = False
        self._parser = HttpRequestParser(self)
        framing = [
            b"%s: %s\r\n" % header
            for header in self._headers
            if header[0] in (b"content-length", b"transfer-encoding")
        ]
        if not framing:
            self.on_message_complete()
            return
        self._resuming = True
        self._parser.feed_data(b"POST / HTTP/1.1\r\nhost: x\r\n%s\r\n" % b"".join(framing))

    def _check(self, request: Request) -> None:
        """See that a head is HTTP/1.1's (RFC 9112) and what it announces within the limits."""
        hosts, codings, length_bytes, waits = _framing(request)
        limit_bytes = self._limits.body_bytes
        try:
            if request.version not in _VERSIONS:
                raise BadRequest("not a request of HTTP/1.1 or HTTP/1.0")
            if hosts != 1 and request.version == "1.1":
                raise BadRequest(f"a request of HTTP/1.1 has one Host header, not {hosts}")
            if self._follows:  # it began in a piece with another, and was not counted there
                self._check_head(request)
            if codings > 1:
                raise Unsupported("a Transfer-Encoding other than chunked can't be read")
            self._check_length(length_bytes)
            self._receiver.check(request)
        except RequestError as error:
            endless = codings > 1 or length_bytes > DISCARDED * limit_bytes
            ends = request.method == "CONNECT" or isinstance(error, HeaderTooLarge)
            if waits or endless or ends:
                self.last_words = self.last_words or error
            raise
        self.expects = waits and bool(length_bytes or codings)

    def _check_head(self, request: Request) -> None:
        head = len(request.target) + sum(len(name) + len(value) for name, value in request.headers)
        if head > self._limits.header_bytes:
            raise self._header_too_large()

    def _check_length(self, length_bytes: int) -> None:
        if length_bytes > self._limits.body_bytes:
            raise self._too_large()

    def _too_large(self) -> RequestError:
        REJECTED.labels("body").inc()
        limit_bytes = self._limits.body_bytes
        return TooLarge(f"the body is longer than {limit_bytes} bytes; send fewer rows")

    def _too_long(self) -> RequestError:
        if self.reading is State.BODY:
            REJECTED.labels("body").inc()
            return TooLarge("the chunks are longer than any body may be; send fewer rows")
        return self._header_too_large()

    def _header_too_large(self) -> HeaderTooLarge:
        REJECTED.labels("header").inc()
        limit_bytes = self._limits.header_bytes
        return HeaderTooLarge(f"the headers are longer than {limit_bytes} bytes; send less")


def _refusal(error: HttpParserError) -> RequestError:
    """Return what the client is told of bytes that could not be parsed."""
    ours = error.__context__ or error
    if isinstance(ours, MemoryError) or str(error) == _CALLBACK_FAILED:
        log.error("a request could not be read", exc_info=ours)
        return Unexpected(MemoryError())
    return BadRequest(f"not an HTTP/1.1 request: {error}")


def _framing(request: Request) -> tuple[int, int, int, bool]:
    """Return what a head tells of a request's framing.

    Returns
    -------
    hosts : int
    codings : int
        0 where the body is not chunked, 1 where it is, more where it is coded in another way.
    length_bytes : int
        What is announced.
    waits : bool
        Whether the client waits to be told to send the body, which none of HTTP/1.0 is.
    """
    hosts, codings, length_bytes, waits = 0, 0, 0, False
    for name, value in request.headers:
        if name == b"host":
            hosts += 1
        elif name == b"content-length":
            length_bytes = int(value)
        elif name == b"transfer-encoding":
            codings += 1 if value.strip().lower() == b"chunked" else 2
        elif name == b"expect":
            waits = value.strip().lower() == b"100-continue" and request.version != "1.0"
    return hosts, codings, length_bytes, waits
