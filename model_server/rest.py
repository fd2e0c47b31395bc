"""KServe's REST routes: v1 bodies are left to our codecs, and every error is ``{"error": ...}``."""

import warnings
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import kserve.model_server
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from kserve.errors import InferenceError, InvalidInput, ModelNotFound, ModelNotReady
from kserve.model_repository import ModelRepository
from kserve.protocol.dataplane import DataPlane
from kserve.protocol.rest.server import RESTServer
from starlette.exceptions import HTTPException

from model_server import answers
from model_server.errors import RequestError
from model_server.health import Health
from model_server.predictor import Predictor
from model_server.schema import describe

warnings.filterwarnings("ignore", "ORJSONResponse is deprecated")  # KServe's answers use it


_REPOSITORY = "/v2/repository/"


class BytesDataPlane(DataPlane):
    """KServe's data plane, but a v1 body stays as it came: the predictor's codecs read it.

    Parameters
    ----------
    models : ModelRepository
    health : Health
    """

    def __init__(self, models: ModelRepository, health: Health) -> None:
        super().__init__(model_registry=models)
        self.health = health

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

    async def live(self) -> dict[str, str]:
        """Tell whether a restart would help: a model fails its golden rows."""
        return {"status": "broken" if self.health.broken else "alive"}

    async def ready(self) -> bool:
        """Tell whether new requests should come: some model can answer, and no stop is near."""
        models = self.model_registry.get_models().values()
        return not self.health.stopping and any(model.ready for model in models)

    async def model_ready(
        self,
        model_name: str,
        disable_predictor_health_check: bool = False,  # noqa: FBT001, FBT002 - KServe's own
    ) -> bool:
        """Tell the same of one model; a prediction asks with the check disabled."""
        ready: bool = await super().model_ready(model_name, disable_predictor_health_check)
        return ready and (disable_predictor_health_check or not self.health.stopping)


class Routes(RESTServer):
    """KServe's REST routes and the schema's, with every error answered as ``{"error": "..."}``."""

    def create_application(self, *, repository: bool) -> None:
        """Add routes and error handlers to KServe's application.

        Parameters
        ----------
        repository : bool
            Keep those that load and unload models.
        """
        app: FastAPI = kserve.model_server.app
        app.add_api_route(
            "/v1/models/{model_name}:predict",
            _not_posted,
            methods=["GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"],
            include_in_schema=False,
        )
        super().create_application()
        if not repository:
            _remove(app, _REPOSITORY)
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


def _remove(app: FastAPI, prefix: str) -> None:
    """Remove the routes below a path from the routers that an application includes."""
    for included in app.router.routes:
        router = getattr(included, "original_router", None)
        if router is not None:
            router.routes[:] = [one for one in router.routes if not one.path.startswith(prefix)]


def _error(status: int, message: Exception | str) -> Response:
    return Response(answers.body(message), status, media_type=answers.JSON)


async def _not_posted() -> None:
    # KServe would look for a model named "{model_name}:predict".
    raise HTTPException(HTTPStatus.METHOD_NOT_ALLOWED, headers={"allow": "POST"})


async def _request_error(_: Request, error: RequestError) -> Response:
    response = _error(error.status, error)
    response.headers.update({name.decode(): value.decode() for name, value in error.headers})
    return response


async def _http_error(request: Request, error: HTTPException) -> Response:
    response = _error(error.status_code, f"{error.detail}: {request.method} {request.url.path}")
    response.headers.update(error.headers or {})
    return response


async def _unreadable(_: Request, error: RequestValidationError) -> Response:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return _error(HTTPStatus.BAD_REQUEST, f"{where}: {first['msg']}")


async def _unexpected(_: Request, error: Exception) -> Response:
    response = _error(HTTPStatus.INTERNAL_SERVER_ERROR, answers.unexpected(error))
    response.headers["connection"] = "close"  # Starlette raises it once more, and uvicorn closes
    return response


def _answer(status: HTTPStatus) -> Callable[[Request, Exception], Any]:
    async def answer(_: Request, error: Exception) -> Response:
        return _error(status, error)

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
