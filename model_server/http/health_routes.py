"""Health and metrics, answered without KServe's application: probes ask for nothing else."""

from collections.abc import Mapping

import orjson
from prometheus_client import REGISTRY, exposition

from model_server.errors import ModelNotReady, NotOffered
from model_server.formats import media_types
from model_server.http.messages import Handler, Request, Response
from model_server.inference.health import Health
from model_server.inference.served import Served

LIVE, READY, METRICS, MODEL = "/v2/health/live", "/v2/health/ready", "/metrics", "/v1/models/"

_JSON = [(b"content-type", media_types.JSON.encode())]


class HealthRoutes:
    """Handler of the health routes, that of a model among them, and of the metrics.

    Parameters
    ----------
    health : Health
    models : mapping of str to Served
    otherwise : handler, optional
        Takes every other request; without it none is answered.
    """

    def __init__(
        self, health: Health, models: Mapping[str, Served], otherwise: Handler | None = None
    ) -> None:
        self._health = health
        self._models = models
        self._otherwise = otherwise

    async def __call__(self, request: Request) -> Response:
        """Answer a request.

        Raises
        ------
        RequestError
        """
        if request.only_reads:
            if request.path == LIVE:
                return self._live()
            if request.path == READY:
                return self._ready()
            if request.path == METRICS:
                encode, content_type = exposition.choose_encoder(request.header(b"accept") or "")
                return Response(200, [(b"content-type", content_type.encode())], encode(REGISTRY))
            if (model := self._models.get(request.path.removeprefix(MODEL))) is not None:
                return self._model(model)
        if self._otherwise is None:
            raise NotOffered(f"Not Found: {request.method} {request.path}")
        return await self._otherwise(request)

    def _live(self) -> Response:
        if not self._health.alive:
            names = ", ".join(sorted(self._health.broken))
            raise ModelNotReady(f"the server is not live: {names} can't answer a golden row")
        return Response(200, _JSON, b'{"live":true}')

    def _ready(self) -> Response:
        if not self._health.ready(self._models.values()):
            reason = "it stops" if self._health.stopping else "no model is"
            raise ModelNotReady(f"the server is not ready: {reason}")
        return Response(200, _JSON, b'{"ready":true}')

    def _model(self, model: Served) -> Response:
        if not self._health.ready([model]):
            raise ModelNotReady(f"Model with name {model.name} is not ready.")
        return Response(200, _JSON, orjson.dumps({"name": model.name, "ready": True}))
