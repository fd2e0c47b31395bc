"""The routes of predictions over v1 and v2."""

import functools
from collections.abc import Awaitable
from dataclasses import replace

from model_server.errors import BadRequest, ModelNotFound, NotAcceptable, Overran
from model_server.formats import infer_json, media_types, negotiation
from model_server.formats.infer_json import InferWriter
from model_server.formats.tensors import TensorReader
from model_server.http import cloud_events, prediction_schemas
from model_server.http.messages import Request, Response
from model_server.http.operation import Operation
from model_server.http.router import Find, Route
from model_server.inference.served import Served

INVOCATIONS = "/invocations"
"""The path that other servers have, of which the model is the only one."""

_RAISES = (ModelNotFound, NotAcceptable, Overran)
PREDICT = Operation(
    tag="v1",
    summary="Predict rows",
    of_model=prediction_schemas.predict,
    raises=_RAISES,
)
_INFER = Operation(
    tag="v2", summary="Predict tensors", of_model=prediction_schemas.infer, raises=_RAISES
)

_JSON_LENGTH = b"inference-header-content-length"
_TYPES = {
    media_type: [(b"content-type", media_type.encode())] for media_type in negotiation.WRITERS
}
_BINARY = (b"content-type", media_types.BINARY.encode())

_TENSORS = TensorReader()


def invocation(served: Served | None) -> Operation:
    """Return the operation of predictions of the one model that is asked by `INVOCATIONS`."""
    if served is None:
        return PREDICT
    told = prediction_schemas.predict(served)
    return replace(PREDICT, of_model=None, body=told.body, answer=told.answer, query=told.query)


class Predictions:
    """What answers them.

    Parameters
    ----------
    find : callable
        Returns the model if it can answer, or raises why not.
    """

    def __init__(self, find: Find) -> None:
        self._find = find

    def routes(self) -> list[Route]:
        """Return their routes."""
        of_version = "/v2/models/{name}/versions/{version}/infer"
        return [
            Route("POST", "/v1/models/{name}:predict", self.predict, PREDICT),
            Route("POST", "/v2/models/{name}/infer", self.infer, _INFER),
            Route("POST", of_version, self.infer, _INFER),
        ]

    def predict(self, request: Request, name: str) -> Awaitable[Response]:
        """Answer a request of v1.

        Raises
        ------
        RequestError
        """
        model = self._find(name)
        if cloud_events.is_event(request):
            return cloud_events.answer(request, name, functools.partial(_predict, model))
        return _predict(model, request)

    def invoke(self, request: Request, name: str) -> Awaitable[Response]:
        """Answer a request of v1, or with rows as MLflow has them.

        Raises
        ------
        RequestError
        """
        return _predict(self._find(name), request, mlflow=True)

    def infer(self, request: Request, name: str, version: str | None = None) -> Awaitable[Response]:
        """Answer a request of v2.

        Raises
        ------
        RequestError
        """
        return _infer(self._find(name, version), request)


async def _predict(model: Served, request: Request, *, mlflow: bool = False) -> Response:
    writer = negotiation.writer(request.header(b"accept"))
    reader = negotiation.reader(request.header(b"content-type"), mlflow=mlflow)
    body = request.body
    asked = negotiation.returned(request.query) if request.query else ()
    answer = await model.predict(body, len(body), reader, writer, asked)
    return Response(200, _TYPES[writer.media_type], answer)


async def _infer(model: Served, request: Request) -> Response:
    body = request.body
    asked = infer_json.read(body, _json_bytes(request))
    writer = InferWriter(asked, model.name, model.manifest.version)
    answer, json_bytes = await model.predict(asked, len(body), _TENSORS, writer)
    if json_bytes is None:
        return Response(200, _TYPES[media_types.JSON], answer)
    return Response(200, [_BINARY, (_JSON_LENGTH, b"%d" % json_bytes)], answer)


def _json_bytes(request: Request) -> int | None:
    """Return how much of the body is JSON, where binary follows."""
    length = request.header(_JSON_LENGTH)
    if length is None:
        negotiation.check_json(request.header(b"content-type"))
        return None
    if not (length.isascii() and length.isdigit()):
        raise BadRequest(f"Inference-Header-Content-Length is {length[:40]!r}, and no number")
    return int(length)
