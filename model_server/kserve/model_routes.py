"""The routes that tell of the server and its models, and those that load and unload them.

Source: KServe's v1 protocol, the Open Inference Protocol's ``inference_rest.md``, and Triton's
``extension_model_repository.md``.
"""

from model_server.errors import BadRequest, ModelNotFound, ModelNotReady
from model_server.http.messages import Request, Response
from model_server.http.operation import (
    BOOLEAN,
    INTEGER,
    TEXT,
    Operation,
    array,
    json_content,
    json_object,
)
from model_server.http.router import Route, json_request, json_response
from model_server.inference.health import Health
from model_server.kserve import metadata
from model_server.kserve.control import Control
from model_server.kserve.repository import READY, UNAVAILABLE, Repository
from model_server.model.signature import describe

_VERSION = "/v2/models/{name}/versions/{version}"

_TAG, _REPOSITORY_TAG = "Models", "Repository"
_OF_MODEL = (ModelNotFound, ModelNotReady)
_TENSORS = array(json_object({"name": TEXT, "datatype": TEXT, "shape": array(INTEGER)}))
_CONFIGURED = array(json_object({"name": TEXT, "data_type": TEXT, "dims": array(INTEGER)}))
_STAGE = json_object({"count": INTEGER, "ns": INTEGER})

_ROOT = Operation(
    tag="Health",
    summary="Whether anyone is there",
    answer=json_content(json_object({"status": TEXT})),
    is_open=True,
)
_NAMES = Operation(
    tag=_TAG,
    summary="The names of all models, ready or not",
    answer=json_content(json_object({"models": array(TEXT)})),
)
_SCHEMA = Operation(
    tag=_TAG,
    summary="A model's features and outputs as JSON Schema",
    answer=json_content({"type": "object"}),
    raises=_OF_MODEL,
)
_SERVER = Operation(
    tag=_TAG,
    summary="The server's name and version",
    answer=json_content(json_object({"name": TEXT, "version": TEXT, "extensions": array(TEXT)})),
)
_METADATA = Operation(
    tag=_TAG,
    summary="The tensors that a model takes and gives",
    answer=json_content(
        json_object(
            {
                "name": TEXT,
                "versions": array(TEXT),
                "platform": TEXT,
                "inputs": _TENSORS,
                "outputs": _TENSORS,
            }
        )
    ),
    raises=_OF_MODEL,
)
_CONFIGURATION = Operation(
    tag=_TAG,
    summary="A model's configuration, as Triton has it",
    answer=json_content(
        json_object(
            {
                "name": TEXT,
                "platform": TEXT,
                "max_batch_size": INTEGER,
                "input": _CONFIGURED,
                "output": _CONFIGURED,
            }
        )
    ),
    raises=_OF_MODEL,
)
_STATISTICS = Operation(
    tag=_TAG,
    summary="How many requests were answered, and how long each stage took, as Triton has it",
    answer=json_content(
        json_object(
            {
                "model_stats": array(
                    json_object(
                        {
                            "name": TEXT,
                            "version": TEXT,
                            "inference_count": INTEGER,
                            "inference_stats": json_object(dict.fromkeys(metadata.STAGES, _STAGE)),
                        }
                    )
                )
            }
        )
    ),
    raises=_OF_MODEL,
)
_ENTRY = json_object(
    {"name": TEXT, "version": TEXT, "state": {"enum": [READY, UNAVAILABLE]}, "reason": TEXT}
)
_INDEX = Operation(
    tag=_REPOSITORY_TAG,
    summary="Every model of the folder, and whether it is ready",
    body=json_content({"type": "object", "properties": {"ready": BOOLEAN}}),
    needs_body=False,
    answer=json_content(array(_ENTRY)),
)
_LOAD = Operation(
    tag=_REPOSITORY_TAG,
    summary="Load a model once more from its directory",
    answer=json_content(json_object({"name": TEXT, "load": {"const": True}})),
    raises=_OF_MODEL,
)
_UNLOAD = Operation(
    tag=_REPOSITORY_TAG,
    summary="Serve a model no more",
    answer=json_content(json_object({"name": TEXT, "unload": {"const": True}})),
    raises=_OF_MODEL,
)


class ModelRoutes:
    """What answers them.

    Parameters
    ----------
    repository : Repository
    health : Health
    control : Control, optional
        What loads and unloads models, where that is allowed.
    """

    def __init__(self, repository: Repository, health: Health, control: Control | None) -> None:
        self._repository = repository
        self._health = health
        self._control = control

    def routes(self) -> list[Route]:
        """Return their routes."""
        routes = [
            Route("GET", "/", self.root, _ROOT),
            Route("GET", "/v1/models", self.names, _NAMES),
            Route("GET", "/v1/models/{name}/schema", self.schema, _SCHEMA),
            Route("GET", "/v2", self.server, _SERVER),
            Route("GET", "/v2/models", self.names, _NAMES),
            Route("GET", "/v2/models/stats", self.statistics, _STATISTICS),
            Route("GET", "/v2/models/{name}", self.metadata, _METADATA),
            Route("GET", "/v2/models/{name}/config", self.configuration, _CONFIGURATION),
            Route("GET", "/v2/models/{name}/stats", self.statistics, _STATISTICS),
            Route("GET", _VERSION, self.metadata, _METADATA),
            Route("GET", f"{_VERSION}/config", self.configuration, _CONFIGURATION),
            Route("GET", f"{_VERSION}/stats", self.statistics, _STATISTICS),
            Route("POST", "/v2/repository/index", self.index, _INDEX),
        ]
        if self._control is not None:
            changing = _Changing(self._control)
            routes += [
                Route("POST", "/v2/repository/models/{name}/load", changing.load, _LOAD),
                Route("POST", "/v2/repository/models/{name}/unload", changing.unload, _UNLOAD),
            ]
        return routes

    async def root(self, _: Request) -> Response:
        """Answer, as KServe does, whoever only asks whether anyone is there."""
        return json_response({"status": "alive" if self._health.alive else "broken"})

    async def names(self, _: Request) -> Response:
        """Tell the names of all models, ready or not."""
        return json_response({"models": list(self._repository.models)})

    async def schema(self, _: Request, name: str) -> Response:
        """Describe a model's features and outputs as JSON Schema."""
        served = self._repository.find(name)
        return json_response(describe(served.manifest, served.signature))

    async def server(self, _: Request) -> Response:
        """Tell of the server."""
        return json_response(metadata.of_server(repository_api=self._control is not None))

    async def metadata(self, _: Request, name: str, version: str | None = None) -> Response:
        """Tell of a model."""
        return json_response(metadata.of_model(self._repository.find(name, version)))

    async def configuration(self, _: Request, name: str, version: str | None = None) -> Response:
        """Tell of a model as Triton's clients read it."""
        return json_response(metadata.configuration(self._repository.find(name, version)))

    async def statistics(
        self, _: Request, name: str | None = None, version: str | None = None
    ) -> Response:
        """Tell what one model, or each, has done."""
        served = self._repository.served
        told = list(served.values()) if name is None else [self._repository.find(name, version)]
        return json_response({"model_stats": [metadata.statistics(model) for model in told]})

    async def index(self, request: Request) -> Response:
        """Tell of every model in the folder whether it is ready, and why not."""
        only_ready = json_request(request).get("ready", False)
        if not isinstance(only_ready, bool):
            raise BadRequest("'ready' is to be true or false")
        entries = self._repository.index()
        return json_response(
            [entry for entry in entries if entry["state"] == READY or not only_ready]
        )


class _Changing:
    """What answers those that change what is served."""

    def __init__(self, control: Control) -> None:
        self._control = control

    async def load(self, _: Request, name: str) -> Response:
        """Load a model once more from its directory."""
        await self._control.load(name)
        return json_response({"name": name, "load": True})

    async def unload(self, _: Request, name: str) -> Response:
        """Serve a model no more."""
        await self._control.unload(name)
        return json_response({"name": name, "unload": True})
