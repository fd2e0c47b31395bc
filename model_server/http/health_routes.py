"""Health and metrics, for probes and scrapers."""

import asyncio
from collections.abc import Mapping

from prometheus_client import exposition

from model_server.errors import ModelNotFound, ModelNotReady
from model_server.fleet.metrics import Metrics
from model_server.http.messages import Request, Response
from model_server.http.operation import TEXT, Operation, json_content, json_object
from model_server.http.router import Find, Route, json_response
from model_server.inference.health import Health
from model_server.inference.served import Served

_TAG = "Health"
_TRUE = {"const": True}
_LIVE = Operation(
    tag=_TAG,
    summary="Whether a restart would not help",
    answer=json_content(json_object({"live": _TRUE})),
    raises=(ModelNotReady,),
    is_open=True,
)
_READY = Operation(
    tag=_TAG,
    summary="Whether any model can answer, and no stop is near",
    answer=json_content(json_object({"ready": _TRUE})),
    raises=(ModelNotReady,),
    is_open=True,
)
_METRICS = Operation(
    tag=_TAG,
    summary="Metrics, for Prometheus",
    answer={"text/plain": {"schema": TEXT}, "application/openmetrics-text": {"schema": TEXT}},
    is_open=True,
)
_MODEL = Operation(
    tag=_TAG,
    summary="Whether a model can answer",
    answer=json_content(json_object({"name": TEXT, "ready": _TRUE})),
    raises=(ModelNotFound, ModelNotReady),
)

LIVE, READY, METRICS = "/v2/health/live", "/v2/health/ready", "/metrics"


class HealthRoutes:
    """What answers the health routes, those of a model among them, and the metrics.

    Parameters
    ----------
    health : Health
    models : mapping of str to Served
    find : callable
        Returns a model, ready or not, or raises why there is none.
    metrics : Metrics
    """

    def __init__(
        self,
        health: Health,
        models: Mapping[str, Served],
        find: Find,
        metrics: Metrics,
    ) -> None:
        self._health = health
        self._models = models
        self._find = find
        self._metrics = metrics

    def routes(self) -> list[Route]:
        """Return their routes."""
        return [
            Route("GET", LIVE, self.live, _LIVE),
            Route("GET", READY, self.ready, _READY),
            Route("GET", METRICS, self.metrics, _METRICS),
            Route("GET", "/v1/models/{name}", self.model, _MODEL),
            Route("GET", "/v2/models/{name}/ready", self.model, _MODEL),
            Route("GET", "/v2/models/{name}/versions/{version}/ready", self.model, _MODEL),
        ]

    async def live(self, _: Request) -> Response:
        """See `Health.alive`."""
        if not self._health.alive:
            names = ", ".join(sorted(self._health.broken))
            raise ModelNotReady(f"the server is not live: {names} can't answer a golden row")
        return json_response({"live": True})

    async def ready(self, _: Request) -> Response:
        """See `Health.ready`: any model is enough."""
        if not self._health.ready(self._models.values()):
            reason = "it stops" if self._health.stopping else "no model is"
            raise ModelNotReady(f"the server is not ready: {reason}")
        return json_response({"ready": True})

    async def metrics(self, request: Request) -> Response:
        """Tell the metrics, as Prometheus or OpenMetrics has them."""
        encode, content_type = exposition.choose_encoder(request.header(b"accept") or "")
        text = await asyncio.to_thread(encode, await self._metrics.collected())
        return Response(200, [(b"content-type", content_type.encode())], text)

    async def model(self, _: Request, name: str, version: str | None = None) -> Response:
        """Tell whether a model is ready."""
        if not self._health.ready([self._find(name, version)]):
            raise ModelNotReady(f"Model with name {name} is not ready.")
        return json_response({"name": name, "ready": True})
