"""MLflow's routes, which are other names for what this server does anyway.

Source: MLflow's "Local Inference Server Spec".
"""

from collections.abc import Mapping

from model_server import __version__
from model_server.errors import ModelNotReady
from model_server.http.messages import Request, Response
from model_server.http.operation import TEXT, Operation
from model_server.http.predictions import INVOCATIONS, Predictions, invocation
from model_server.http.router import Route
from model_server.inference.health import Health
from model_server.inference.served import Served

_TAG = "MLflow"
_TEXT = {"text/plain": {"schema": TEXT}}
_PING = Operation(
    tag=_TAG,
    summary="Whether the model can answer",
    answer=_TEXT,
    raises=(ModelNotReady,),
    is_open=True,
)
_VERSION = Operation(tag=_TAG, summary="The server's version", answer=_TEXT)


class ScoringServer:
    """What answers them, of one model.

    Parameters
    ----------
    models : mapping of str to Served
    health : Health
    predictions : Predictions
    model : str
        Its name.
    """

    def __init__(
        self,
        models: Mapping[str, Served],
        health: Health,
        predictions: Predictions,
        model: str,
    ) -> None:
        self._models = models
        self._health = health
        self._predictions = predictions
        self._model = model

    def routes(self) -> list[Route]:
        """Return their routes."""
        operation = invocation(self._models.get(self._model))
        return [
            Route("POST", INVOCATIONS, self.invoke, operation),
            Route("GET", "/ping", self.ping, _PING),
            Route("GET", "/health", self.ping, _PING),
            Route("GET", "/version", self.version, _VERSION),
        ]

    async def invoke(self, request: Request) -> Response:
        """Answer a prediction."""
        return await self._predictions.invoke(request, self._model)

    async def ping(self, _: Request) -> Response:
        """Tell whether the model can answer."""
        served = self._models.get(self._model)
        if served is None or not self._health.ready([served]):
            raise ModelNotReady(f"Model with name {self._model} is not ready.")
        return _text("")

    async def version(self, _: Request) -> Response:
        """Tell this server's version, as MLflow tells its own."""
        return _text(__version__)


def _text(text: str) -> Response:
    return Response(200, [(b"content-type", b"text/plain; charset=utf-8")], text.encode())
