"""Amazon SageMaker's routes, which are other names for what this server does anyway.

``/invocations`` and ``/models/{name}/invoke`` are answered as ``/v1/models/{name}:predict`` is.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar
from urllib.parse import parse_qsl

from pydantic import BaseModel, Field, ValidationError

from model_server.errors import (
    AlreadyLoaded,
    BadRequest,
    MemoryShort,
    ModelNotFound,
    ModelNotReady,
    ModelServerError,
    NotAcceptable,
)
from model_server.formats import negotiation
from model_server.http.messages import Request, Response
from model_server.http.operation import (
    INTEGER,
    TEXT,
    Operation,
    array,
    json_content,
    json_object,
)
from model_server.http.predictions import INVOCATIONS, PREDICT, Predictions, invocation
from model_server.http.router import Route, json_request, json_response
from model_server.inference.health import Health
from model_server.kserve.repository import Repository
from model_server.memory import Memory
from model_server.model import directory as model_directory
from model_server.sagemaker.hosting import Hosting, Load
from model_server.settings import Settings

_ANY = "*/*"

_TAG = "SageMaker"
_PING = Operation(
    tag=_TAG, summary="Whether the model can answer", raises=(ModelNotReady,), is_open=True
)
_PARAMETERS = Operation(
    tag=_TAG,
    summary="How a batch transform is best sent",
    answer=json_content(
        json_object(
            {"MaxConcurrentTransforms": INTEGER, "BatchStrategy": TEXT, "MaxPayloadInMB": INTEGER}
        )
    ),
)
_HOSTED = json_object({"modelName": TEXT, "modelUrl": TEXT})
_PAGE = Operation(
    tag=_TAG,
    summary="The models that are loaded",
    query={"next_page_token": TEXT, "limit": {"type": "integer", "minimum": 1, "maximum": 1000}},
    answer=json_content(
        json_object({"models": array(_HOSTED), "nextPageToken": TEXT}, optional=("nextPageToken",))
    ),
)
_LOAD = Operation(
    tag=_TAG,
    summary="Load a model",
    body=json_content(Load.model_json_schema()),
    answer=json_content(_HOSTED),
    raises=(AlreadyLoaded, MemoryShort),
)
_GET = Operation(
    tag=_TAG,
    summary="A model that is loaded, or was",
    answer=json_content(_HOSTED),
    raises=(ModelNotFound,),
)


class _Asked(BaseModel):
    """Which models are to be listed."""

    next_page_token: str = ""
    limit: Annotated[int, Field(ge=1, le=1000)] = 100


class Platform:
    """What the platform asks: predictions by other paths, and what stands beside them.

    Parameters
    ----------
    settings : Settings
    repository : Repository
    health : Health
    predictions : Predictions
        What answers them.

    Raises
    ------
    ModelServerError
        If it is not clear which model ``/invocations`` asks, or in which media type it is answered.
    """

    def __init__(
        self,
        settings: Settings,
        repository: Repository,
        health: Health,
        predictions: Predictions,
    ) -> None:
        self._settings = settings
        self._repository = repository
        self._health = health
        self._predictions = predictions
        self._model = None if settings.multi_model else repository.only(settings.invocations)
        try:
            negotiation.writer(settings.default_accept)
        except NotAcceptable as error:
            raise ModelServerError(f"--default-accept: {error}") from error

    def routes(self) -> list[Route]:
        """Return its routes."""
        routes = [
            Route("GET", "/ping", self.ping, _PING),
            Route("GET", "/execution-parameters", self.execution_parameters, _PARAMETERS),
        ]
        if not self._settings.multi_model:
            operation = invocation(self._repository.served.get(self._model or ""))
            return [*routes, Route("POST", INVOCATIONS, self.invoke, operation)]
        memory = Memory(self._settings.memory_limit_bytes)
        models = _Models(Hosting(self._repository, self._settings.multi_model_root, memory))
        return [
            *routes,
            Route("POST", "/models/{name}/invoke", self.invoke, PREDICT),
            *models.routes(),
        ]

    async def invoke(self, request: Request, name: str | None = None) -> Response:
        """Answer a prediction."""
        if (request.header(b"accept") or _ANY).strip() == _ANY:
            request.set_header(b"accept", self._settings.default_accept.encode())
        return await self._predictions.invoke(request, name or self._model or "")

    async def ping(self, _: Request) -> Response:
        """Tell whether the model answered its golden rows when it was last looked at."""
        if self._model is None:
            sound = not self._health.broken
        else:
            sound = self._repository.models[self._model].ready
        return Response(200 if sound and not self._health.stopping else 503)

    async def execution_parameters(self, _: Request) -> Response:
        """Tell how a batch transform is best sent."""
        model = None if self._model is None else self._repository.served.get(self._model)
        return json_response(
            {
                "MaxConcurrentTransforms": 1 if model is None else model.concurrency,
                "BatchStrategy": "MULTI_RECORD",
                "MaxPayloadInMB": self._settings.body_limit_bytes // 1024**2,
            }
        )


def folder(settings: Settings) -> Path:
    """Return the folder whose models are served: the platform's, where it has put something."""
    given = settings.sagemaker_models
    put = settings.sagemaker and given.is_dir()
    if put and not all(map(model_directory.is_hidden, given.iterdir())):
        return given
    return settings.models


class _Models:
    """What the platform asks of the models that it has loaded."""

    def __init__(self, hosting: Hosting) -> None:
        self._hosting = hosting

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("GET", "/models", self.page, _PAGE),
            Route("POST", "/models", self.load, _LOAD),
            Route("GET", "/models/{name}", self.get, _GET),
            Route("DELETE", "/models/{name}", self.unload, _GET),
        ]

    async def page(self, request: Request) -> Response:
        asked = _validated(_Asked, dict(parse_qsl(request.query.decode("latin-1"))))
        return _told(self._hosting.page(asked.next_page_token, asked.limit))

    async def load(self, request: Request) -> Response:
        return _told(await self._hosting.load(_validated(Load, json_request(request))))

    async def get(self, _: Request, name: str) -> Response:
        return _told(self._hosting.get(name))

    async def unload(self, _: Request, name: str) -> Response:
        return _told(self._hosting.unload(name))


_Model = TypeVar("_Model", bound=BaseModel)


def _validated(kind: type[_Model], given: Mapping[str, Any]) -> _Model:
    """Return what was sent as what is asked for.

    Raises
    ------
    BadRequest
    """
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise BadRequest(f"{where}: {first['msg']}") from error


def _told(answer: BaseModel) -> Response:
    return json_response(answer.model_dump(exclude_none=True))
