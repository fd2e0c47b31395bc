"""An error as a response: ``{"error": "..."}``, of ours and of Starlette's."""

import orjson
from starlette.responses import Response as StarletteResponse

from model_server.errors import RequestError
from model_server.formats import media_types
from model_server.http.messages import Response

_JSON = media_types.JSON.encode()


def body(error: RequestError) -> bytes:
    """Write the body of a response that tells an error, with what programs need of it."""
    return orjson.dumps({"error": str(error), **error.members})


def response(error: RequestError) -> StarletteResponse:
    """Return the response of an application of Starlette's."""
    headers = {name.decode(): value.decode() for name, value in error.headers}
    return StarletteResponse(body(error), error.status, headers, media_types.JSON)


def answer(error: RequestError, *, close: bool = False) -> Response:
    """Return the response to send; `close` ends its connection with it."""
    return Response(error.status, [(b"content-type", _JSON), *error.headers], body(error), close)
