"""An error as a response: ``{"error": "..."}``."""

import orjson

from model_server.errors import RequestError
from model_server.formats import media_types
from model_server.http.messages import Response

_JSON = media_types.JSON.encode()


def body(error: RequestError) -> bytes:
    """Write the body of a response that tells an error, with what programs need of it."""
    return orjson.dumps({"error": str(error), **error.members})


def answer(error: RequestError, *, close: bool = False) -> Response:
    """Return the response to send; `close` ends its connection with it."""
    return Response(error.status, [(b"content-type", _JSON), *error.headers], body(error), close)
