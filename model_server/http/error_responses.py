"""An error as a response: ``{"error": "..."}``, in each of the ways that a response is sent."""

from http import HTTPStatus

import orjson
from starlette.responses import Response
from starlette.types import Send

from model_server.errors import RequestError
from model_server.formats import media_types

_JSON = media_types.JSON.encode()


def body(error: RequestError) -> bytes:
    """Write the body of a response that tells an error, with what programs need of it."""
    return orjson.dumps({"error": str(error), **error.members})


def response(error: RequestError) -> Response:
    """Return the response of an application of Starlette's."""
    headers = {name.decode(): value.decode() for name, value in error.headers}
    return Response(body(error), error.status, headers, media_types.JSON)


async def send_error(send: Send, error: RequestError, *, close: bool = False) -> None:
    """Answer with an error, over ASGI; `close` ends the connection after it."""
    content = body(error)
    headers = [
        (b"content-type", _JSON),
        (b"content-length", b"%d" % len(content)),
        *error.headers,
    ]
    if close:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


def wire(error: RequestError) -> bytes:
    """Write a whole answer that ends its connection, as HTTP/1.1 sends it."""
    content = body(error)
    lines = [
        b"HTTP/1.1 %d %s" % (error.status, HTTPStatus(error.status).phrase.encode()),
        b"content-type: " + _JSON,
        b"content-length: %d" % len(content),
        b"connection: close",
        *(name + b": " + value for name, value in error.headers),
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n" + content
