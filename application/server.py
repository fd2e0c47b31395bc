"""The site on a port: connections within their limits, and a stop that loses no request.

Connections are the model server's, see `model_server.http.state`: this is all that the application
shares with it.
"""

import asyncio
import functools
import logging
import signal
import socket

import uvloop
from starlette.applications import Starlette

from application.asgi import StreamedApplication
from application.settings import Settings
from model_server.http.limits import Limits
from model_server.http.listener import Listener
from model_server.http.roster import Roster
from model_server.http.service import Service
from model_server.http.streamed_connection import StreamedConnection
from model_server.inference.in_flight import InFlightLimiter
from model_server.ports import listen

log = logging.getLogger("application")

_HEADER_BYTES = 32 * 1024
_SWEEP_S = 1
_BODY_LENGTHS, _BODY_TIMES, _BODY_SWEEPS = 4, 2, 2
"""So many times the longest file, and the time for one with so many sweeps, end a connection:
`bodies` tells people before that, and what still comes is thrown away."""


class Server:
    """Serve a site until SIGTERM or SIGINT, then finish what was begun.

    Parameters
    ----------
    site : Starlette
    settings : Settings

    Attributes
    ----------
    stopping : bool
        Whether it was told to stop: it still answers, and closes connections with their answers.
    """

    def __init__(self, site: Starlette, settings: Settings) -> None:
        self._site = site
        self._settings = settings
        self.stopping = False

    def start(self) -> None:
        """Serve until a signal.

        Raises
        ------
        ModelServerError
            If the port is taken.
        """
        with listen(self._settings.port, "--port", self._settings.host) as port:
            uvloop.run(self._run(port))

    async def _run(self, port: socket.socket) -> None:
        settings = self._settings
        listener = self._listener()
        closing = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            stop = functools.partial(self._stop, listener, closing)
            asyncio.get_running_loop().add_signal_handler(number, stop)
        async with self._site.router.lifespan_context(self._site):
            sweeping = asyncio.create_task(_sweep(listener))
            listener.start(port)
            number = port.getsockname()[1]
            log.info("serving", extra={"port": number, "endpoint": str(settings.endpoint)})
            await closing.wait()
            await listener.close(settings.drain_timeout_s)
            sweeping.cancel()

    def _listener(self) -> Listener:
        settings = self._settings
        limits = Limits(
            connections=settings.connections_limit,
            header_bytes=_HEADER_BYTES,
            body_bytes=_BODY_LENGTHS * settings.upload_limit_bytes,
            header_timeout_s=settings.header_timeout_s,
            body_timeout_s=_BODY_TIMES * settings.upload_timeout_s + _BODY_SWEEPS * _SWEEP_S,
        ).fit_to_open_files()
        n_connections = limits.connections + limits.late_connections
        limiter = InFlightLimiter(n_connections, limits.body_bytes)
        service = Service(
            handler=StreamedApplication(self._site),
            authentication=None,
            limits=limits,
            limiter=limiter,
            roster=Roster(limits.connections, limits.late_connections, limiter),
            health=self,
            certificate=None,
        )
        return Listener(service, StreamedConnection)

    def _stop(self, listener: Listener, closing: asyncio.Event) -> None:
        if self.stopping:
            listener.hurry()
            closing.set()
            return
        log.info("stopping")
        self.stopping = True
        listener.drain()
        asyncio.get_running_loop().call_later(self._settings.drain_delay_s, closing.set)


async def _sweep(listener: Listener) -> None:
    while True:
        await listener.sweep()
        await asyncio.sleep(_SWEEP_S)
