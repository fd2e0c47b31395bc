"""KServe's REST routes: bodies are left to our readers, and errors are answered as ours."""

import re
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import kserve.model_server
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from kserve.errors import InvalidInput, ModelNotFound, ModelNotReady
from kserve.model_repository import ModelRepository
from kserve.protocol.dataplane import DataPlane
from kserve.protocol.model_repository_extension import ModelRepositoryExtension
from kserve.protocol.rest.server import RESTServer
from starlette.exceptions import HTTPException
from starlette.responses import Response
from typing_extensions import override

from model_server import errors
from model_server.errors import BadRequest, RequestError
from model_server.http import error_responses
from model_server.http.allowed_routes import Route
from model_server.inference.health import Health
from model_server.kserve.errors import ours
from model_server.kserve.repository import Repository
from model_server.model.signature import describe

warnings.filterwarnings("ignore", "ORJSONResponse is deprecated")  # KServe's answers use it

ROUTES = (
    Route("GET", "/"),
    Route("GET", "/metrics"),
    Route("GET", "/openapi.json"),
    Route("GET", "/v1/models"),
    Route("GET", "/v1/models/{name}"),
    Route("GET", "/v1/models/{name}/schema"),
    Route("POST", "/v1/models/{name}:predict"),
    Route("GET", "/v2"),
    Route("GET", "/v2/health/live"),
    Route("GET", "/v2/health/ready"),
    Route("GET", "/v2/models"),
    Route("GET", "/v2/models/{name}"),
    Route("GET", "/v2/models/{name}/ready"),
    Route("POST", "/v2/models/{name}/infer"),
    Route("GET", "/v2/models/{name}/versions/{version}"),
    Route("GET", "/v2/models/{name}/versions/{version}/ready"),
    Route("POST", "/v2/models/{name}/versions/{version}/infer"),
)
"""The routes that a server answers."""

REPOSITORY_ROUTES = (
    Route("POST", "/v2/repository/models/{name}/load"),
    Route("POST", "/v2/repository/models/{name}/unload"),
)
"""Those that load and unload models."""


class BytesDataPlane(DataPlane):
    """KServe's data plane, but a body stays as it came: the predictor's readers read it.

    Parameters
    ----------
    models : ModelRepository
    health : Health
    """

    def __init__(self, models: ModelRepository, health: Health) -> None:
        super().__init__(model_registry=models)
        self.health = health

    @override
    def decode(
        self,
        body: Any,
        headers: dict[str, str],
        protocol_version: str = "v1",
        model_name: str | None = None,
    ) -> tuple[Any, dict[str, Any]]:
        """Leave a body as it came."""
        return body, {}

    @override
    def encode(
        self,
        model_name: str,
        response: Any,
        headers: dict[str, str],
        req_attributes: dict[str, Any],
    ) -> tuple[Any, dict[str, str]]:
        """Leave an answer as it was written."""
        return response, {}

    @override
    async def model_metadata(self, model_name: str) -> dict[str, Any]:
        """Tell of a model, its version and what runs it as well."""
        told: dict[str, Any] = await super().model_metadata(model_name)
        served = self.model_registry.served.get(model_name)
        if served is None:
            return told
        return {**told, "versions": [served.manifest.version], "platform": served.platform}

    @override
    async def live(self) -> dict[str, str]:
        """See `Health.alive`."""
        return {"status": "alive" if self.health.alive else "broken"}

    @override
    async def ready(self) -> bool:
        """See `Health.ready`."""
        return self.health.ready(self.model_registry.get_models().values())

    @override
    async def model_ready(
        self,
        model_name: str,
        disable_predictor_health_check: bool = False,
    ) -> bool:
        """Tell the same of one model; a prediction asks with the check disabled."""
        ready: bool = await super().model_ready(model_name, disable_predictor_health_check)
        return ready and (disable_predictor_health_check or not self.health.stopping)


def application(repository: Repository, dataplane: BytesDataPlane) -> FastAPI:
    """Return KServe's application with its routes, the schema's, and every error answered as ours.

    There is one in a process.
    """
    app: FastAPI = kserve.model_server.app
    RESTServer("", dataplane, ModelRepositoryExtension(repository), 0).create_application()

    async def schema(model_name: str) -> dict[str, Any]:
        """Describe a model's features and target as JSON Schema."""
        served = repository.served.get(model_name)
        if served is None:
            raise repository.unserved(model_name)
        return describe(served.manifest, served.signature)

    app.add_api_route("/v1/models/{model_name}/schema", schema, tags=["V1"])
    for kind, answer in _ANSWERS.items():
        app.add_exception_handler(kind, answer)
    return app


def describe_only(app: FastAPI, routes: Iterable[Route]) -> None:
    """Have an application's OpenAPI description tell of no other routes."""
    told = {_without_names(route.path) for route in routes}
    whole = app.openapi

    def described() -> dict[str, Any]:
        document = whole()
        paths = {
            path: item for path, item in document["paths"].items() if _without_names(path) in told
        }
        return {**document, "paths": paths}

    app.openapi = described  # type: ignore[method-assign]


def _without_names(path: str) -> str:
    return re.sub(r"{\w+}", "{}", path)


async def _tell(_: Request, error: Exception) -> Response:
    return error_responses.response(ours(error))


async def _http_error(request: Request, error: HTTPException) -> Response:
    told = BadRequest(f"{error.detail}: {request.method} {request.url.path}")
    response = error_responses.response(told)
    response.status_code = error.status_code
    return response


async def _unreadable(_: Request, error: RequestValidationError) -> Response:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return error_responses.response(BadRequest(f"{where}: {first['msg']}"))


async def _unexpected(_: Request, error: Exception) -> Response:
    return error_responses.response(errors.Unexpected(error))


_ANSWERS: dict[type[Exception], Callable[[Request, Any], Any]] = {
    RequestError: _tell,
    HTTPException: _http_error,
    RequestValidationError: _unreadable,
    InvalidInput: _tell,
    ModelNotFound: _tell,
    ModelNotReady: _tell,
    NotImplementedError: _tell,
    Exception: _unexpected,
}

USED = {
    RESTServer: ("create_application",),
    ModelRepository: ("get_models", "models"),
    DataPlane: ("infer", "model_registry"),
}
"""What is used of KServe's own; see `model_server.overrides`."""
