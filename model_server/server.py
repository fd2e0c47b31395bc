"""The server: KServe's own, with our codecs, limits, errors and signals around its routes."""

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Callable, Iterator, Sequence

import kserve
import kserve.model_server
import uvicorn
import uvloop
from kserve.protocol.grpc.server import GRPCServer
from starlette.types import ASGIApp

from model_server.body_limit import BodyLimit
from model_server.drain import Drain
from model_server.errors import ModelServerError
from model_server.fastpath import FastPath
from model_server.joined_writes import JoiningProtocol
from model_server.predictor import BrokenPredictor, Predictor
from model_server.rest import BytesDataPlane, Routes
from model_server.settings import Settings

log = logging.getLogger("model_server")


class UvicornServer(uvicorn.Server):
    """uvicorn, telling when it has started and leaving the signals to us."""

    def __init__(self, config: uvicorn.Config, on_started: Callable[[], None]) -> None:
        super().__init__(config)
        self.stopping = False
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept connections, and tell so."""
        await super().startup(sockets)
        self._on_started()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Do nothing."""
        yield


class Server(kserve.ModelServer):
    """Serve predictors until SIGTERM or SIGINT, then finish what was begun.

    Parameters
    ----------
    settings : Settings
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(
            http_port=settings.http_port,
            grpc_port=settings.grpc_port,
            workers=1,
            enable_grpc=settings.grpc,
            enable_latency_logging=False,
            grace_period=settings.drain_timeout_s,
        )
        self.settings = settings
        self.dataplane = BytesDataPlane(model_registry=self.registered_models)

    def start(
        self,
        models: Sequence[Predictor | BrokenPredictor],
        on_serving: Callable[[int], None],
    ) -> None:
        """Serve until a signal.

        Parameters
        ----------
        models : sequence of Predictor or BrokenPredictor
        on_serving : callable
            Called with the HTTP port once requests are accepted.

        Raises
        ------
        ModelServerError
            If a port is taken.
        """
        for model in models:
            self.register_model(model)
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

        limit_bytes = self.settings.body_limit_bytes
        kserves = BodyLimit(kserve.model_server.app, limit_bytes)
        drain = Drain(FastPath(kserves, self.registered_models.get_models(), limit_bytes))
        rest = self._rest(drain, started)
        for sig in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(sig, self._stop, drain, rest)
        async with asyncio.TaskGroup() as tasks:
            grpc = self._grpc()
            if self.enable_grpc:
                tasks.create_task(grpc.start(self.max_threads))
            await rest.serve(sockets=[http])
            await grpc.stop()
        log.info("stopped")

    def _grpc(self) -> GRPCServer:
        return GRPCServer(
            self.grpc_port,
            self.dataplane,
            self.model_repository_extension,
            kwargs={
                "grpc_max_receive_message_length": self.settings.body_limit_bytes,
                "grpc_max_send_message_length": -1,
            },
            grace_period=self.grace_period,
        )

    def _rest(self, app: ASGIApp, on_started: Callable[[], None]) -> UvicornServer:
        routes = Routes("", self.dataplane, self.model_repository_extension, self.http_port)
        routes.create_application()
        return UvicornServer(
            uvicorn.Config(
                app,
                http=JoiningProtocol,
                ws="none",
                log_config=None,
                access_log=self.settings.access_log,
                lifespan="off",
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=self.timeout_keep_alive,
                timeout_graceful_shutdown=self.grace_period,
            ),
            on_started,
        )

    def _stop(self, drain: Drain, rest: UvicornServer) -> None:
        if rest.stopping:
            log.warning("stopping at once, at a second signal")
            rest.force_exit = True
            rest.should_exit = True
            return
        log.info("stopping", extra={"drain_delay_s": self.settings.drain_delay_s})
        rest.stopping = True
        drain.begin()

        def close() -> None:
            rest.should_exit = True

        asyncio.get_running_loop().call_later(self.settings.drain_delay_s, close)


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
