"""A handler asked by httpx in this process, without a connection between them."""

import httpx

from model_server.errors import RequestError
from model_server.http import error_responses
from model_server.http.messages import Handler, Request, split_target


class HandlerTransport(httpx.AsyncBaseTransport):
    """Hands requests to a handler and its responses back."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        headers = [(name.lower(), value) for name, value in request.headers.raw]
        target = request.url.raw_path
        body = await request.aread()
        asked = Request(request.method, target, *split_target(target), headers, "1.1", body=body)
        try:
            response = await self._handler(asked)
        except RequestError as error:
            response = error_responses.answer(error)
        return httpx.Response(response.status, headers=response.headers, content=response.body)


def client(handler: Handler) -> httpx.AsyncClient:
    """Return a client of a handler."""
    return httpx.AsyncClient(transport=HandlerTransport(handler), base_url="http://server")
