"""Amazon SageMaker's routes, which are other names for what this server does anyway.

``/invocations`` and ``/models/{name}/invoke`` are handed on as ``/v1/models/{name}:predict``.
"""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Query
from fastapi.responses import Response as EmptyResponse

from model_server.errors import ModelServerError, NotAcceptable
from model_server.formats import negotiation
from model_server.http.allowed_routes import Route
from model_server.http.messages import Handler, Request, Response
from model_server.inference.health import Health
from model_server.kserve.repository import Repository
from model_server.memory import Memory
from model_server.model import directory as model_directory
from model_server.sagemaker.hosting import Hosted, Hosting, Load, Page
from model_server.settings import Settings

INVOCATIONS = "/invocations"

_ROUTES = (Route("GET", "/ping"), Route("GET", "/execution-parameters"))
_MODEL_ROUTES = (
    Route("GET", "/models"),
    Route("POST", "/models"),
    Route("GET", "/models/{name}"),
    Route("DELETE", "/models/{name}"),
)
_BEFORE, _AFTER = "/models/", "/invoke"
_ANY = "*/*"


class Invocations:
    """Handler that gives the platform's predictions the paths of v1.

    Parameters
    ----------
    handler : handler
        That of the v1 routes.
    model : str, optional
        The name of the model that ``/invocations`` asks; None where each request names its own.
    default_accept : str
        The media type of an answer whose ``Accept`` does not care.

    Raises
    ------
    ModelServerError
        If there is no such media type.
    """

    def __init__(self, handler: Handler, model: str | None, default_accept: str) -> None:
        self._handler = handler
        self._model = model
        self._default_accept = default_accept.encode()
        try:
            negotiation.writer(default_accept)
        except NotAcceptable as error:
            raise ModelServerError(f"--default-accept: {error}") from error

    async def __call__(self, request: Request) -> Response:
        """Answer a request."""
        if (name := self._asked(request.path)) is not None:
            request = replace(request, path=f"/v1/models/{name}:predict")
            if (request.header(b"accept") or _ANY).strip() == _ANY:
                others = [header for header in request.headers if header[0] != b"accept"]
                request.headers = [*others, (b"accept", self._default_accept)]
        return await self._handler(request)

    def _asked(self, path: str) -> str | None:
        if self._model is not None:
            return self._model if path == INVOCATIONS else None
        if path.startswith(_BEFORE) and path.endswith(_AFTER):
            return path[len(_BEFORE) : -len(_AFTER)]
        return None


class Platform:
    """What the platform asks beside predictions.

    Parameters
    ----------
    settings : Settings
    repository : Repository
    health : Health

    Raises
    ------
    ModelServerError
        If it is not clear which model ``/invocations`` asks.
    """

    def __init__(self, settings: Settings, repository: Repository, health: Health) -> None:
        self._settings = settings
        self._repository = repository
        self._health = health
        self._model = None if settings.multi_model else _only(repository, settings.invocations)

    def add_routes(self, application: FastAPI) -> list[Route]:
        """Add the platform's routes to an application, and return what it may be asked by them."""
        add = application.add_api_route
        add("/ping", self.ping, response_class=EmptyResponse, tags=["SageMaker"])
        add("/execution-parameters", self.execution_parameters, tags=["SageMaker"])
        if not self._settings.multi_model:
            return list(_ROUTES)
        memory = Memory(self._settings.memory_limit_bytes)
        hosting = Hosting(self._repository, self._settings.multi_model_root, memory)
        _add_models(application, hosting)
        return [*_ROUTES, *_MODEL_ROUTES]

    def invocations(self, handler: Handler) -> Handler:
        """Return what stands before the v1 routes, and hands the platform's predictions on."""
        return Invocations(handler, self._model, self._settings.default_accept)

    async def ping(self) -> EmptyResponse:
        """Tell whether the model answered its golden rows when it was last looked at."""
        if self._model is None:
            sound = not self._health.broken
        else:
            sound = self._repository.models[self._model].ready
        return EmptyResponse(status_code=200 if sound and not self._health.stopping else 503)

    async def execution_parameters(self) -> dict[str, Any]:
        """Tell how a batch transform is best sent."""
        model = None if self._model is None else self._repository.served.get(self._model)
        return {
            "MaxConcurrentTransforms": 1 if model is None else model.concurrency,
            "BatchStrategy": "MULTI_RECORD",
            "MaxPayloadInMB": self._settings.body_limit_bytes // 1024**2,
        }


def folder(settings: Settings) -> Path:
    """Return the folder whose models are served: the platform's, where it has put something."""
    given = settings.sagemaker_models
    put = settings.sagemaker and given.is_dir()
    if put and not all(map(model_directory.is_hidden, given.iterdir())):
        return given
    return settings.models


def _add_models(application: FastAPI, hosting: Hosting) -> None:
    async def page(
        next_page_token: str = "", limit: Annotated[int, Query(ge=1, le=1000)] = 100
    ) -> Page:
        return hosting.page(next_page_token, limit)

    async def get(model_name: str) -> Hosted:
        return hosting.get(model_name)

    async def unload(model_name: str) -> Hosted:
        return hosting.unload(model_name)

    async def load(asked: Load) -> Hosted:
        return await hosting.load(asked)

    one = "/models/{model_name}"
    for path, method, route in (
        ("/models", "GET", page),
        ("/models", "POST", load),
        (one, "GET", get),
        (one, "DELETE", unload),
    ):
        application.add_api_route(
            path,
            route,
            methods=[method],
            tags=["SageMaker"],
            response_model_exclude_none=True,
        )


def _only(repository: Repository, named: str) -> str:
    """Return the model that is asked where a request names none."""
    names: list[str] = list(repository.models)
    if len(names) == 1:
        return names[0]
    if named in names:
        return named
    raise ModelServerError(
        f"{INVOCATIONS} can ask one model only, and there are {', '.join(names)}; "
        "name one with --invocations"
    )
