"""The server: KServe's own, with our codecs, limits, errors and signals around its routes."""

import asyncio
import contextlib
import logging
import signal
import socket
import warnings
from collections.abc import Callable, Iterator, Sequence
from http import HTTPStatus
from typing import Any

import kserve
import kserve.model_server
import uvicorn
import uvloop
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from kserve.errors import InferenceError, InvalidInput, ModelNotFound, ModelNotReady
from kserve.protocol.dataplane import DataPlane
from kserve.protocol.grpc.server import GRPCServer
from kserve.protocol.rest.server import RESTServer
from starlette.exceptions import HTTPException

from model_server.body_limit import BodyLimit
from model_server.errors import ModelServerError, RequestError
from model_server.predictor import BrokenPredictor, Predictor
from model_server.schema import describe
from model_server.settings import Settings

log = logging.getLogger("model_server")

warnings.filterwarnings("ignore", "ORJSONResponse is deprecated")  # KServe's answers use it


class BytesDataPlane(DataPlane):
    """KServe's data plane, but a v1 body stays as it came: the predictor's codecs read it."""

    def decode(
        self,
        body: Any,
        headers: dict[str, str],
        protocol_version: str = "v1",
        model_name: str | None = None,
    ) -> tuple[Any, dict[str, Any]]:
        """Decode v2 requests only; one that KServe trips over is the client's mistake."""
        if protocol_version == "v1":
            return body, {}
        try:
            return super().decode(body, headers, protocol_version, model_name)
        except (InferenceError, AttributeError, KeyError, TypeError, ValueError) as error:
            raise InvalidInput(f"not a v2 inference request: {error}") from error

    def encode(
        self,
        model_name: str,
        response: Any,
        headers: dict[str, str],
        req_attributes: dict[str, Any],
    ) -> tuple[Any, dict[str, str]]:
        """Encode v2 responses only."""
        if isinstance(response, bytes):
            return response, {}
        return super().encode(model_name, response, headers, req_attributes)

    async def ready(self) -> bool:
        """Tell whether any model can answer."""
        return any(model.ready for model in self.model_registry.get_models().values())


class Routes(RESTServer):
    """KServe's REST routes and the schema's, with every error answered as ``{"error": "..."}``."""

    def create_application(self) -> None:
        """Add routes and error handlers to KServe's application."""
        app: FastAPI = kserve.model_server.app
        app.add_api_route("/v1/models/{model_name}:predict", _not_posted, include_in_schema=False)
        super().create_application()
        app.add_api_route("/v1/models/{model_name}/schema", self.schema, tags=["V1"])
        for error, answer in _ANSWERS.items():
            app.add_exception_handler(error, answer)

    async def schema(self, model_name: str) -> dict[str, Any]:
        """Describe a model's features and target as JSON Schema."""
        model = self.dataplane.model_registry.get_model(model_name)
        if model is None:
            raise ModelNotFound(model_name)
        if not isinstance(model, Predictor):
            raise ModelNotReady(model_name)
        return describe(model.artifact.manifest)


class UvicornServer(uvicorn.Server):
    """uvicorn, telling when it has started and leaving the signals to us."""

    def __init__(self, config: uvicorn.Config, on_started: Callable[[], None]) -> None:
        super().__init__(config)
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

        rest = self._rest(started)
        loop = asyncio.get_running_loop()
        for sig in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(sig, _stop, rest)
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

    def _rest(self, on_started: Callable[[], None]) -> UvicornServer:
        routes = Routes("", self.dataplane, self.model_repository_extension, self.http_port)
        routes.create_application()
        return UvicornServer(
            uvicorn.Config(
                BodyLimit(kserve.model_server.app, self.settings.body_limit_bytes),
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


def _stop(server: uvicorn.Server) -> None:
    log.info("stopping once the requests in flight are answered")
    server.should_exit = True


def _error(status: int, message: str) -> JSONResponse:
    return JSONResponse({"error": message}, status)


async def _not_posted() -> None:
    # KServe would look for a model named "{model_name}:predict".
    raise HTTPException(HTTPStatus.METHOD_NOT_ALLOWED, headers={"allow": "POST"})


async def _request_error(_: Request, error: RequestError) -> JSONResponse:
    return _error(error.status, str(error))


async def _http_error(request: Request, error: HTTPException) -> JSONResponse:
    response = _error(error.status_code, f"{error.detail}: {request.method} {request.url.path}")
    response.headers.update(error.headers or {})
    return response


async def _unreadable(_: Request, error: RequestValidationError) -> JSONResponse:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return _error(HTTPStatus.BAD_REQUEST, f"{where}: {first['msg']}")


async def _unexpected(_: Request, error: Exception) -> JSONResponse:
    return _error(HTTPStatus.INTERNAL_SERVER_ERROR, f"{type(error).__name__}: see the server's log")


def _answer(status: HTTPStatus) -> Callable[[Request, Exception], Any]:
    async def answer(_: Request, error: Exception) -> JSONResponse:
        return _error(status, str(error))

    return answer


_ANSWERS: dict[type[Exception], Any] = {
    RequestError: _request_error,
    HTTPException: _http_error,
    RequestValidationError: _unreadable,
    InvalidInput: _answer(HTTPStatus.BAD_REQUEST),
    ModelNotFound: _answer(HTTPStatus.NOT_FOUND),
    ModelNotReady: _answer(HTTPStatus.SERVICE_UNAVAILABLE),
    NotImplementedError: _answer(HTTPStatus.NOT_FOUND),
    Exception: _unexpected,
}
