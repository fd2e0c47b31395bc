"""The fast path: predictions over v1 and v2 without the frame around the model.

It answers ``POST /v1/models/{name}:predict``, ``POST /v2/models/{name}/infer`` and the same of a
version itself. Everything else, a v1 request to a model that is not ready among it, is passed on.
"""

from collections.abc import Awaitable, Callable, Mapping

from model_server.errors import BadRequest, ModelNotFound, RequestError
from model_server.formats import infer_json, media_types, negotiation
from model_server.formats.infer_json import InferWriter
from model_server.formats.tensors import TensorReader
from model_server.http.messages import Handler, Request, Response
from model_server.inference.served import Served

_V1, _PREDICT = "/v1/models/", ":predict"
_V2, _INFER, _VERSIONS = "/v2/models/", "/infer", "/versions/"

_JSON_LENGTH = b"inference-header-content-length"
_TYPES = {
    media_type: [(b"content-type", media_type.encode())] for media_type in negotiation.WRITERS
}
_BINARY = (b"content-type", media_types.BINARY.encode())

_TENSORS = TensorReader()


class FastPath:
    """Handler before another.

    Parameters
    ----------
    otherwise : handler
        Takes what this one does not.
    models : mapping of str to Served
        The registry's own, so that a model that is unloaded is not served.
    unserved : callable
        Returns the error of a model of another name.
    """

    def __init__(
        self,
        otherwise: Handler,
        models: Mapping[str, Served],
        unserved: Callable[[str], RequestError] = ModelNotFound,
    ) -> None:
        self._otherwise = otherwise
        self._models = models
        self._unserved = unserved

    def __call__(self, request: Request) -> Awaitable[Response]:
        """Answer a request.

        Raises
        ------
        RequestError
        """
        path = request.path
        if path.startswith(_V2) and _VERSIONS in path:
            path = request.path = self._without_version(path)
        if request.method != "POST":
            return self._otherwise(request)
        if path.endswith(_PREDICT) and path.startswith(_V1):
            model = self._models.get(path[len(_V1) : -len(_PREDICT)])
            if model is not None and model.ready:
                return _predict(model, request)
        elif path.endswith(_INFER) and path.startswith(_V2):
            return _infer(self._ready(path[len(_V2) : -len(_INFER)]), request)
        return self._otherwise(request)

    def _without_version(self, path: str) -> str:
        """Return the path of a model whose version it asks for.

        Raises
        ------
        RequestError
        """
        before, _, after = path.partition(_VERSIONS)
        version, parted, rest = after.partition("/")
        self._ready(before.removeprefix(_V2)).check_version(version)
        return before + parted + rest

    def _ready(self, name: str) -> Served:
        model = self._models.get(name)
        if model is None or not model.ready:
            raise self._unserved(name)
        return model


async def _predict(model: Served, request: Request) -> Response:
    writer = negotiation.writer(request.header(b"accept"))
    reader = negotiation.reader(request.header(b"content-type"))
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
