"""One write for a response's head and body, where uvicorn makes two.

On a loopback or a fast network a write costs about as much as all else that a small answer takes.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

EXTENSION = "model_server.join"


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


class JoiningProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which offers `JoiningTransport.join` in ``scope["extensions"]``."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wrap the transport of a new connection."""
        joining = JoiningTransport(transport)
        self._extensions = {EXTENSION: joining.join}
        super().connection_made(joining)  # type: ignore[arg-type]

    def on_message_begin(self) -> None:
        """Offer the extension to a new request."""
        super().on_message_begin()
        self.scope["extensions"] = self._extensions  # type: ignore[typeddict-item]
