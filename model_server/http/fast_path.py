"""The fast path: v1 predictions without the frame around the model.

It answers ``POST /v1/models/{name}:predict`` itself, from the same served model as KServe's route.
Everything else, a body of unknown length and a model that is not ready among it, is passed on to
KServe's application.
"""

from collections.abc import Mapping

from starlette.types import ASGIApp, Receive, Scope, Send

from model_server.errors import RequestError
from model_server.formats import negotiation
from model_server.http.connection import JOIN
from model_server.http.error_responses import send_error
from model_server.inference.served import Served

_BEFORE, _AFTER = "/v1/models/", ":predict"


class FastPath:
    """ASGI application around KServe's.

    Parameters
    ----------
    app : ASGI application
        Takes what this one does not.
    models : mapping of str to Served
        The registry's own, so that a model that is unloaded is not served.
    """

    def __init__(self, app: ASGIApp, models: Mapping[str, Served]) -> None:
        self._app = app
        self._models = models

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the ASGI specification."""
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        model = self._models.get(path[len(_BEFORE) : -len(_AFTER)])
        if (
            model is None
            or not model.ready
            or not path.startswith(_BEFORE)
            or not path.endswith(_AFTER)
        ):
            await self._app(scope, receive, send)
            return
        announced, content_type, accept = _headers(scope)
        if not announced:
            await self._app(scope, receive, send)
            return
        body = await _body(receive)
        if body is None:
            return
        join = scope.get("extensions", {}).get(JOIN, _send_apart)
        try:
            writer = negotiation.writer(accept)
            reader = negotiation.reader(content_type)
            answer = await model.predict(body, len(body), reader, writer)
        except RequestError as error:
            join()
            await send_error(send, error)
            return
        headers = [
            (b"content-type", writer.media_type.encode()),
            (b"content-length", b"%d" % len(answer)),
        ]
        join()
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})


def _headers(scope: Scope) -> tuple[bool, str | None, str | None]:
    """Return whether the body's length is announced, its ``Content-Type``, and ``Accept``."""
    announced, content_type, accept = False, None, None
    for name, value in scope["headers"]:
        if name == b"content-length":
            announced = True
        elif name == b"content-type":
            content_type = value.decode("latin-1")
        elif name == b"accept":
            accept = value.decode("latin-1")
    return announced, content_type, accept


def _send_apart() -> None:
    """Do nothing, where a server can't send head and body in one write."""


async def _body(receive: Receive) -> bytes | None:
    """Return the whole body, or None where the client has gone."""
    message = await receive()
    if message["type"] == "http.disconnect":
        return None
    body: bytes = message.get("body", b"")
    if not message.get("more_body"):
        return body
    parts = [body]
    while message.get("more_body"):
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message["body"])
    return b"".join(parts)
