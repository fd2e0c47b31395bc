"""CloudEvents over v1: an event that holds a request is answered by one that holds the answer.

Source: CloudEvents 1.0, its HTTP binding and its JSON format; what the answer's attributes are is
KServe's.
"""

import base64
import binascii
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import msgspec
import orjson

from model_server.errors import BadRequest
from model_server.formats import media_types
from model_server.http.messages import Request, Response

_STRUCTURED = b"application/cloudevents+json"
_REQUIRED = ("specversion", "id", "source", "type")
_SPECVERSION, _TYPE, _SOURCE = "1.0", "io.kserve.inference.response", "io.kserve.inference."
_DECODERS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

Predict = Callable[[Request], Awaitable[Response]]


class _Event(msgspec.Struct):
    specversion: str
    id: str
    source: str
    type: str
    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    data_base64: str | msgspec.UnsetType = msgspec.UNSET
    datacontenttype: str | None = None


_EVENT = msgspec.json.Decoder(_Event)


def is_event(request: Request) -> bool:
    """Tell whether a request is an event, in either form."""
    fields = request.fields
    return b"ce-specversion" in fields or fields.get(b"content-type", b"").startswith(_STRUCTURED)


async def answer(request: Request, model: str, predict: Predict) -> Response:
    """Answer an event.

    Parameters
    ----------
    request : Request
    model : str
        The name of the model that is asked.
    predict : callable
        Answers the request that the event holds.

    Raises
    ------
    RequestError
    """
    told = {
        "specversion": _SPECVERSION,
        "id": str(uuid.uuid4()),
        "source": _SOURCE + model,
        "type": _TYPE,
        "time": datetime.now(UTC).isoformat(),
    }
    if b"ce-specversion" in request.fields:
        _check({name: request.header(b"ce-" + name.encode()) for name in _REQUIRED})
        response = await predict(request)
        headers = [(b"ce-" + name.encode(), value.encode()) for name, value in told.items()]
        response.headers = [*response.headers, *headers]
        return response
    request.body, content_type = _unwrapped(request.body)
    request.set_header(b"content-type", content_type)
    request.set_header(b"accept", media_types.JSON.encode())
    response = await predict(request)
    event = {**told, "datacontenttype": media_types.JSON, "data": orjson.Fragment(response.body)}
    return Response(200, [(b"content-type", _STRUCTURED)], orjson.dumps(event))


def _unwrapped(body: bytes) -> tuple[bytes, bytes]:
    """Return what an event in JSON holds, and its media type."""
    try:
        event = _EVENT.decode(body)
    except msgspec.ValidationError as error:
        raise BadRequest(f"not a CloudEvent: {error}") from None
    except _DECODERS as error:
        raise BadRequest(f"the event is not JSON: {error}") from None
    _check({name: getattr(event, name) for name in _REQUIRED})
    content_type = event.datacontenttype or media_types.JSON
    if isinstance(event.data_base64, str):
        try:
            data = base64.b64decode(event.data_base64, validate=True)
        except binascii.Error as error:
            raise BadRequest(f"the event's data_base64 is none: {error}") from None
    elif isinstance(event.data, msgspec.Raw):
        data = bytes(event.data)
        if data.startswith(b'"') and "json" not in content_type.lower():
            data = orjson.loads(data).encode()
    else:
        raise BadRequest("the event has neither data nor data_base64")
    return data, content_type.encode()


def _check(given: dict[str, str | None]) -> None:
    """See that an event has what each has, and is of a version that is read."""
    for name, value in given.items():
        if not value:
            raise BadRequest(f"the event has no {name}")
    if given["specversion"] != _SPECVERSION:
        raise BadRequest(f"the event's specversion is {given['specversion']!r:.80}, not 1.0")
