"""An error as an answer: ``{"error": "..."}``, in each of the ways that an answer is sent."""

from http import HTTPStatus

import orjson
from starlette.types import Send

from model_server.errors import RequestError

JSON = "application/json"


def body(error: Exception | str) -> bytes:
    """Write the body of an answer that tells an error."""
    return orjson.dumps({"error": str(error)})


def unexpected(error: Exception) -> str:
    """Tell a client of an error that is not its own; the server's log has the rest."""
    return f"{type(error).__name__}: see the server's log"


async def send_error(send: Send, error: RequestError, *, close: bool = False) -> None:
    """Answer with an error, over ASGI; `close` ends the connection after it."""
    content = body(error)
    headers = [
        (b"content-type", JSON.encode()),
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
        b"content-type: " + JSON.encode(),
        b"content-length: %d" % len(content),
        b"connection: close",
        *(name + b": " + value for name, value in error.headers),
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n" + content
