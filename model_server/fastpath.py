"""The fast path: v1 predictions without the frame around the model.

It answers ``POST /v1/models/{name}:predict`` itself, with the same predictor, codecs, batcher,
metrics and errors as KServe's route. Everything else, a body of unknown length and a model that is
not ready among it, is passed on to KServe's application.
"""

import logging
from collections.abc import Mapping
from time import perf_counter
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from model_server import answers, codecs
from model_server.errors import RequestError, Unexpected
from model_server.joined_writes import EXTENSION
from model_server.predictor import Predictor

log = logging.getLogger("model_server")

_BEFORE, _AFTER = "/v1/models/", ":predict"


class FastPath:
    """ASGI application around KServe's.

    Parameters
    ----------
    app : ASGI application
        Takes what this one does not.
    models : mapping of str to object
        The registry's own, so that a model that is unloaded is not served.
    """

    def __init__(self, app: ASGIApp, models: Mapping[str, Any]) -> None:
        self._app = app
        self._models = models

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the ASGI specification."""
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        model = self._models.get(path[len(_BEFORE) : -len(_AFTER)])
        if not (
            isinstance(model, Predictor)
            and model.ready
            and path.startswith(_BEFORE)
            and path.endswith(_AFTER)
        ):
            await self._app(scope, receive, send)
            return
        announced, content_type, accept = False, None, None
        for name, value in scope["headers"]:
            if name == b"content-length":
                announced = True
            elif name == b"content-type":
                content_type = value.decode("latin-1")
            elif name == b"accept":
                accept = value.decode("latin-1")
        if not announced:
            await self._app(scope, receive, send)
            return
        body = await _body(receive)
        if body is None:
            return
        try:
            media_type, answer = await _predict(model, body, content_type, accept)
        except RequestError as error:
            scope["extensions"][EXTENSION]()
            await answers.send_error(send, error)
            return
        headers = [
            (b"content-type", media_type),
            (b"content-length", b"%d" % len(answer)),
        ]
        scope["extensions"][EXTENSION]()
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})


async def _body(receive: Receive) -> bytes | None:
    """Return the whole body, or None where the client has gone."""
    message = await receive()
    if not message.get("more_body"):
        return message.get("body")
    parts = [message["body"]]
    while message.get("more_body"):
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message["body"])
    return b"".join(parts)


async def _predict(
    model: Predictor, body: bytes, content_type: str | None, accept: str | None
) -> tuple[bytes, bytes]:
    """Return media type and body of the answer."""
    decoding, predicting, encoding = model.stages
    try:
        begun = perf_counter()
        model.batcher.check(len(body))
        writer = codecs.writer(accept)
        X = codecs.reader(content_type).decode(body, model.columns)
        decoded = perf_counter()
        decoding.observe(decoded - begun)
        y = await model.batcher.submit(X)
        predicted = perf_counter()
        predicting.observe(predicted - decoded)
        answer = writer.encode(y)
        encoding.observe(perf_counter() - predicted)
    except RequestError:
        raise
    except Exception as error:
        log.exception("a prediction of %s failed", model.name)
        raise Unexpected(answers.unexpected(error)) from error
    return writer.media_type.encode(), answer
