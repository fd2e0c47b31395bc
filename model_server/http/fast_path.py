"""The fast path: v1 predictions without the frame around the model.

It answers ``POST /v1/models/{name}:predict`` itself, from the same served model as KServe's route.
Everything else, a model that is not ready among it, is passed on.
"""

from collections.abc import Mapping

from model_server.formats import negotiation
from model_server.http.messages import Handler, Request, Response
from model_server.inference.served import Served

_BEFORE, _AFTER = "/v1/models/", ":predict"


class FastPath:
    """Handler before another.

    Parameters
    ----------
    otherwise : handler
        Takes what this one does not.
    models : mapping of str to Served
        The registry's own, so that a model that is unloaded is not served.
    """

    def __init__(self, otherwise: Handler, models: Mapping[str, Served]) -> None:
        self._otherwise = otherwise
        self._models = models

    async def __call__(self, request: Request) -> Response:
        """Answer a request.

        Raises
        ------
        RequestError
        """
        path = request.path
        model = self._models.get(path[len(_BEFORE) : -len(_AFTER)])
        if (
            model is None
            or not model.ready
            or request.method != "POST"
            or not path.startswith(_BEFORE)
            or not path.endswith(_AFTER)
        ):
            return await self._otherwise(request)
        writer = negotiation.writer(request.header(b"accept"))
        reader = negotiation.reader(request.header(b"content-type"))
        body = request.body
        asked = negotiation.returned(request.query) if request.query else ()
        answer = await model.predict(body, len(body), reader, writer, asked)
        return Response(200, [(b"content-type", writer.media_type.encode())], answer)
