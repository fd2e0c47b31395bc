"""HTTP/1.1 over asyncio's streams: light enough to load a server from the machine that it runs on.

Only the standard library is used, so that the text of this module can be run in a pod as well.
"""

import asyncio
from dataclasses import dataclass
from typing import Self

JSON = "application/json"

_ANSWER_TIMEOUT_S = 30.0


class LostError(Exception):
    """A request on an open connection had no whole answer."""


@dataclass(frozen=True)
class Answer:
    """What came back.

    Attributes
    ----------
    status : int
    headers : dict of str to str
        By their names in lower case.
    body : bytes
    """

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def closes(self) -> bool:
        """Whether no other request may follow on its connection."""
        return self.headers.get("connection") == "close"


def post(path: str, body: bytes, *, media_type: str = JSON, close: bool = False) -> bytes:
    """Write a request that has a body; `close` asks for one answer only."""
    last = "connection: close\r\n" if close else ""
    head = (
        f"POST {path} HTTP/1.1\r\nhost: harness\r\ncontent-type: {media_type}\r\n"
        f"content-length: {len(body)}\r\n{last}\r\n"
    )
    return head.encode() + body


def get(path: str) -> bytes:
    """Write a request for a path."""
    return f"GET {path} HTTP/1.1\r\nhost: harness\r\nconnection: close\r\n\r\n".encode()


class Connection:
    """A connection to a server, for one request after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, host: str, port: int) -> Self:
        """Connect.

        Raises
        ------
        OSError
            If the server does not take it.
        """
        return cls(*await asyncio.open_connection(host, port))

    async def ask(
        self,
        request: bytes,
        split: int = 0,
        pause_s: float = 0.0,
        timeout_s: float = _ANSWER_TIMEOUT_S,
    ) -> Answer:
        """Send a request and return its answer.

        Parameters
        ----------
        request : bytes
        split : int
            How much of it is sent before the pause.
        pause_s : float
        timeout_s : float

        Raises
        ------
        LostError
            If the connection ends before a whole answer, or there is none in time.
        """
        try:
            if split:
                self._writer.write(request[:split])
                await asyncio.sleep(pause_s)
            self._writer.write(request[split:])
            async with asyncio.timeout(timeout_s):
                return await self._answer()
        except (OSError, EOFError, TimeoutError) as error:
            raise LostError(f"{type(error).__name__}: {error}") from error

    async def _answer(self) -> Answer:
        head = await self._reader.readuntil(b"\r\n\r\n")
        first, *lines = head[:-4].decode("latin-1").split("\r\n")
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        if "content-length" in headers:
            body = await self._reader.readexactly(int(headers["content-length"]))
        else:
            body = await self._reader.read()
        return Answer(int(first.split()[1]), headers, body)

    def close(self) -> None:
        """Close it, whatever is on its way."""
        self._writer.transport.abort()


async def ask_once(host: str, port: int, request: bytes) -> Answer:
    """Send a request on a connection of its own and return its answer.

    Raises
    ------
    OSError
        If the server does not take the connection.
    LostError
        If there is no whole answer.
    """
    connection = await Connection.open(host, port)
    try:
        return await connection.ask(request)
    finally:
        connection.close()
