"""A request as it came in and a response as it goes out, and what answers one with the other."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Protocol
from urllib.parse import unquote

Header = tuple[bytes, bytes]

_STATUS_LINES = {
    status.value: b"HTTP/1.1 %d %s\r\n" % (status, status.phrase.encode()) for status in HTTPStatus
}
_FRAMING = (b"connection", b"content-length", b"date", b"transfer-encoding")
_WITHOUT_BODY = frozenset((HTTPStatus.NO_CONTENT.value, HTTPStatus.NOT_MODIFIED.value))


@dataclass(slots=True)
class Request:
    """A request, whole.

    Attributes
    ----------
    method : str
    target : bytes
        As it was sent.
    path, query : str, bytes
        Of the target; the path is decoded.
    headers : list of (bytes, bytes)
        The names in lower case.
    version : str
        ``1.0`` or ``1.1``.
    client : (str, int) or None
        The address that it came from.
    secure : bool
        Whether it came over TLS.
    body : bytes
    stream : Stream or None
        What the body is read from, and the answer may be written to, where requests are worked on
        while they come in.
    """

    method: str
    target: bytes
    path: str
    query: bytes
    headers: list[Header]
    version: str
    client: tuple[str, int] | None = None
    secure: bool = False
    body: bytes = b""
    stream: "Stream | None" = None
    _fields: dict[bytes, bytes] | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def only_reads(self) -> bool:
        """Whether it is of a method that has no body and changes nothing."""
        return self.method in ("GET", "HEAD")

    @property
    def fields(self) -> dict[bytes, bytes]:
        """The headers by their names; those of several lines as the one list that they are."""
        if self._fields is None:
            self._fields = dict(self.headers)
            if len(self._fields) < len(self.headers):
                self._fields = _joined(self.headers)
        return self._fields

    def header(self, name: bytes) -> str | None:
        """Return a header's value; see `fields`."""
        value = self.fields.get(name)
        return None if value is None else value.decode("latin-1")

    def set_header(self, name: bytes, value: bytes) -> None:
        """Have one line of a header, with this value."""
        self.headers = [*(line for line in self.headers if line[0] != name), (name, value)]
        self._fields = None


@dataclass(slots=True)
class Response:
    """A response, whole.

    Attributes
    ----------
    status : int
    headers : list of (bytes, bytes)
        Without those that frame it on a connection, which it is given when it is sent.
    body : bytes
    close : bool
        Whether its connection ends with it.
    """

    status: int
    headers: list[Header] = field(default_factory=list)
    body: bytes = b""
    close: bool = False

    def wire(self, date: bytes, connection: bytes, *, head_only: bool) -> bytes:
        """Write it as HTTP/1.1 sends it; `connection` is that header's line, or nothing.

        With `head_only` the body is left out.
        """
        if self.status in _WITHOUT_BODY:
            return self.head(date, connection)
        head = self.head(date, b"content-length: %d\r\n%s" % (len(self.body), connection))
        return head if head_only else head + self.body

    def head(self, date: bytes, framing: bytes) -> bytes:
        """Write its head alone; `framing` is the lines that tell where it ends."""
        lines = [_STATUS_LINES[self.status], b"date: ", date, b"\r\n"]
        for name, value in self.headers:
            if name not in _FRAMING:
                lines += (name, b": ", value, b"\r\n")
        lines += (framing, b"\r\n")
        return b"".join(lines)


class Stream(Protocol):
    """The body of a request as it comes in, and its answer as it goes out.

    Both wait for the client, who is let go where it takes too long.
    """

    async def read(self) -> bytes:
        """Return the next of the body; nothing at its end.

        Raises
        ------
        RequestError
            If it can't be read to its end.
        """

    async def begin(self, response: Response) -> None:
        """Send the head of a response, whose body is what is written after it.

        The handler returns this response once it has written all.
        """

    async def write(self, part: bytes) -> None:
        """Send the next of the response's body."""


Handler = Callable[[Request], Awaitable[Response]]
"""What answers requests; a `RequestError` that it raises is answered as that."""


def _joined(headers: list[Header]) -> dict[bytes, bytes]:
    fields: dict[bytes, bytes] = {}
    for name, value in headers:
        fields[name] = b"%b, %b" % (fields[name], value) if name in fields else value
    return fields


def split_target(target: bytes) -> tuple[str, bytes]:
    """Return a target's decoded path and its query.

    An absolute one, as proxies send it, is taken without scheme and authority (RFC 9112, 3.2.2).
    """
    if not target.startswith(b"/") and b"://" in target:
        _, _, rest = target.partition(b"://")
        _, slash, rest = rest.partition(b"/")
        target = b"/" + rest if slash else b"/"
    raw, _, query = target.partition(b"?")
    path = raw.decode("latin-1")
    return (unquote(path) if "%" in path else path), query
