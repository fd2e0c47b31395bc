"""The HTTP server: uvicorn with our connections, which leaves signals to us."""

import asyncio
import contextlib
import errno
import functools
import logging
import os
import socket
from collections.abc import Callable, Iterator
from typing import cast

import uvicorn
from starlette.types import ASGIApp
from typing_extensions import override
from uvicorn.server import ServerState

from model_server.errors import ModelServerError
from model_server.http.connection import Connection, Limits
from model_server.http.tls import Certificate
from model_server.inference.health import Health
from model_server.metrics import CONNECTIONS

_KEEP_ALIVE_S = 65
"""Longer than the idle time-out of a proxy in front, as KServe has it."""

_BACKLOG = 2048
"""As uvicorn has it."""

_SWEPT_AT_ONCE = 8
"""So many connections are looked at, and perhaps cut off, before requests have their turn."""


class HTTPServer(uvicorn.Server):
    """Serve an ASGI application.

    Parameters
    ----------
    app : ASGI application
    limits : Limits
    health : Health
    certificate : Certificate or None
    on_started : callable
        Called once connections are accepted.
    """

    def __init__(
        self,
        app: ASGIApp,
        limits: Limits,
        health: Health,
        certificate: Certificate | None,
        on_started: Callable[[], None],
    ) -> None:
        protocol = functools.partial(Connection, limits=limits, health=health)
        context = None if certificate is None else lambda *_: certificate.context
        super().__init__(
            uvicorn.Config(
                app,
                http=protocol,  # type: ignore[arg-type]
                ws="none",
                log_config=None,
                access_log=logging.getLogger("uvicorn.access").isEnabledFor(logging.INFO),
                lifespan="off",
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=_KEEP_ALIVE_S,
                timeout_graceful_shutdown=limits.drain_timeout_s,
                ssl_context_factory=context,
            )
        )
        self._on_started = on_started
        CONNECTIONS.set_function(lambda: len(self.server_state.connections))

    @property
    def connections(self) -> list[Connection]:
        """The connections that are open now."""
        return list(cast("set[Connection]", self.server_state.connections))

    async def sweep(self) -> None:
        """End the connections whose clients take too long."""
        loop = asyncio.get_running_loop()
        for number, connection in enumerate(self.connections, start=1):
            connection.sweep(loop.time())
            if number % _SWEPT_AT_ONCE == 0:
                await asyncio.sleep(0)

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept connections, and tell so."""
        await super().startup(sockets)
        self._on_started()

    @override
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Do nothing."""
        yield


def listen(port: int, flag: str) -> socket.socket:
    """Return a socket on every address of this machine, of IPv6 and IPv4 where it has both.

    Raises
    ------
    ModelServerError
        If the port is taken.
    """
    try:
        return _bind(port, both=socket.has_dualstack_ipv6())
    except OSError as error:
        raise ModelServerError(
            f"port {port} can't be listened on ({os.strerror(error.errno or 0)}); "
            f"choose another with {flag}"
        ) from error


def _bind(port: int, *, both: bool) -> socket.socket:
    if not both:
        return socket.create_server(("", port), backlog=_BACKLOG)
    try:
        return socket.create_server(
            ("", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=_BACKLOG
        )
    except OSError as error:
        if error.errno != errno.EADDRNOTAVAIL:  # where IPv6 is compiled in and turned off
            raise
        return _bind(port, both=False)


USED = {
    uvicorn.Server: ("force_exit", "serve", "server_state", "should_exit"),
    ServerState: ("connections",),
}
"""What is used of uvicorn's own; see `model_server.overrides`."""
