"""The server: KServe's own, with our codecs, limits, errors and signals around its routes."""

import asyncio
import contextlib
import faulthandler
import functools
import logging
import signal
import socket
from collections.abc import Callable, Iterator
from typing import cast

import grpc
import kserve
import kserve.model_server
import uvicorn
import uvloop
from kserve.protocol.grpc.servicer import InferenceServicer

from model_server import rpc
from model_server.admission import Admission, Places
from model_server.bearer import Bearer, Tokens
from model_server.connection import Connection, Limits
from model_server.errors import ModelServerError
from model_server.fastpath import FastPath
from model_server.health import Health
from model_server.metrics import CONNECTIONS
from model_server.repository import Repository
from model_server.rest import BytesDataPlane, Routes
from model_server.sagemaker import Platform
from model_server.settings import Settings
from model_server.tls import Certificate

log = logging.getLogger("model_server")

_HOUSE_S = 1
_SWEPT_AT_ONCE = 8
"""So many connections are looked at, and perhaps cut off, before requests have their turn."""


class UvicornServer(uvicorn.Server):
    """uvicorn, telling when it has started and leaving the signals to us."""

    def __init__(self, config: uvicorn.Config, on_started: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_started = on_started

    @property
    def connections(self) -> list[Connection]:
        """The connections that are open now."""
        return list(cast("set[Connection]", self.server_state.connections))

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept connections, and tell so."""
        await super().startup(sockets)
        self._on_started()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Do nothing."""
        yield


class Server(kserve.ModelServer):
    """Serve a repository's models until SIGTERM or SIGINT, then finish what was begun.

    Parameters
    ----------
    settings : Settings
    repository : Repository
        Open.

    Raises
    ------
    ModelServerError
        If the token file or the certificate can't be used.
    """

    def __init__(self, settings: Settings, repository: Repository) -> None:
        super().__init__(
            http_port=settings.http_port,
            grpc_port=settings.grpc_port,
            workers=1,
            registered_models=repository,
            enable_grpc=settings.grpc,
            enable_latency_logging=False,
            grace_period=settings.drain_timeout_s,
        )
        self.settings = settings
        self.health = Health()
        self.dataplane = BytesDataPlane(repository, self.health)
        self._places = Places(settings.requests_limit, settings.bytes_limit)
        self._tokens = None if settings.token_file is None else Tokens(settings.token_file)
        self._certificate = None
        if settings.ssl_certfile is not None and settings.ssl_keyfile is not None:
            self._certificate = Certificate(settings.ssl_certfile, settings.ssl_keyfile)

    def start(self, on_serving: Callable[[int], None]) -> None:
        """Serve until a signal.

        Parameters
        ----------
        on_serving : callable
            Called with the HTTP port once requests are accepted.

        Raises
        ------
        ModelServerError
            If a port is taken.
        """
        with _listen(self.http_port, "--http-port") as http:
            if self.enable_grpc:
                _listen(self.grpc_port, "--grpc-port").close()
            uvloop.run(self._run(http, on_serving))

    async def _run(self, http: socket.socket, on_serving: Callable[[int], None]) -> None:
        port = http.getsockname()[1]

        def started() -> None:
            log.info(
                "serving",
                extra={
                    "models": list(self.registered_models.get_models()),
                    "http_port": port,
                    "grpc_port": self.grpc_port if self.enable_grpc else None,
                },
            )
            on_serving(port)

        rest, rpc = self._rest(started), self._rpc()
        closing = asyncio.Event()
        stop = functools.partial(self._stop, rest, rpc, closing)
        for sig in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(sig, stop)
        async with asyncio.TaskGroup() as tasks:
            if rpc is not None:
                await rpc.start()
            background = [tasks.create_task(self._keep_house(rest))]
            if self.settings.health_interval_s:
                models = self.registered_models.get_models()
                watch = self.health.watch(models, self.settings.health_interval_s)
                background.append(tasks.create_task(watch))
            serving = tasks.create_task(rest.serve(sockets=[http]))
            await closing.wait()
            rest.should_exit = True
            if rpc is not None:
                await rpc.stop(0 if rest.force_exit else self.grace_period)
            await serving
            for task in background:
                task.cancel()
        faulthandler.cancel_dump_traceback_later()
        log.info("stopped")

    def _rest(self, on_started: Callable[[], None]) -> UvicornServer:
        routes = Routes("", self.dataplane, self.model_repository_extension, self.http_port)
        routes.create_application(repository=self.settings.repository_api)
        fast = FastPath(kserve.model_server.app, self.registered_models.get_models())
        admission = Admission(
            self._platform().mount(kserve.model_server.app, fast)
            if self.settings.sagemaker
            else fast,
            self._places,
            self.settings.body_limit_bytes,
        )
        app = admission if self._tokens is None else Bearer(admission, self._tokens)
        certificate = self._certificate
        context = None if certificate is None else lambda *_: certificate.context
        return UvicornServer(
            uvicorn.Config(
                app,
                http=functools.partial(  # type: ignore[arg-type]
                    Connection, limits=self._limits(), health=self.health
                ),
                ws="none",
                log_config=None,
                access_log=self.settings.access_log,
                lifespan="off",
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=self.timeout_keep_alive,
                timeout_graceful_shutdown=self.grace_period,
                ssl_context_factory=context,
            ),
            on_started,
        )

    def _platform(self) -> Platform:
        return Platform(self.settings, self.registered_models, self.health)

    def _limits(self) -> Limits:
        limits = Limits(
            connections=self.settings.connections_limit,
            header_bytes=self.settings.header_limit_bytes,
            body_bytes=self.settings.body_limit_bytes,
            header_timeout_s=self.settings.header_timeout_s,
            body_timeout_s=self.settings.body_timeout_s,
        )
        return limits.fit_to_open_files()

    def _rpc(self) -> grpc.aio.Server | None:
        if not self.enable_grpc:
            return None
        servicer = InferenceServicer(self.dataplane, self.model_repository_extension)
        gate = rpc.Gate(self._places, self._tokens, repository=self.settings.repository_api)
        server = rpc.build(servicer, gate, self.settings.body_limit_bytes)
        address = f"[::]:{self.grpc_port}"
        if self._certificate is None:
            server.add_insecure_port(address)
        else:
            server.add_secure_port(address, self._certificate.credentials())
        return server

    async def _keep_house(self, rest: UvicornServer) -> None:
        """Do every so often what connections, certificate and the watch on this loop need."""
        loop, stuck_timeout_s = asyncio.get_running_loop(), self.settings.stuck_timeout_s
        CONNECTIONS.set_function(lambda: len(rest.server_state.connections))
        while True:
            if stuck_timeout_s:
                faulthandler.dump_traceback_later(stuck_timeout_s + _HOUSE_S, exit=True)
            if self._certificate is not None:
                self._certificate.refresh()
            for number, connection in enumerate(rest.connections, start=1):
                connection.sweep(loop.time())
                if number % _SWEPT_AT_ONCE == 0:
                    await asyncio.sleep(0)
            await asyncio.sleep(_HOUSE_S)

    def _stop(
        self, rest: UvicornServer, rpc: grpc.aio.Server | None, closing: asyncio.Event
    ) -> None:
        if self.health.stopping:
            log.warning("stopping at once, at a second signal")
            rest.force_exit = True
            closing.set()
            if rpc is not None:
                self._hurry = asyncio.create_task(rpc.stop(0))
            return
        log.info("stopping", extra={"drain_delay_s": self.settings.drain_delay_s})
        self.health.stopping = True
        for connection in rest.connections:
            connection.drain()
        asyncio.get_running_loop().call_later(self.settings.drain_delay_s, closing.set)


def _listen(port: int, flag: str) -> socket.socket:
    listener = socket.socket(socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("0.0.0.0", port))  # noqa: S104 - a pod is reached on its own address
    except OSError as error:
        listener.close()
        raise ModelServerError(
            f"port {port} can't be listened on ({error.strerror}); choose another with {flag}"
        ) from error
    return listener
