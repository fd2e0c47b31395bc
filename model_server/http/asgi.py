"""An ASGI application as a handler: for the routes that are not worth one of their own."""

import asyncio
import logging
from typing import Any

from starlette.types import ASGIApp, Message, Scope

from model_server.errors import Unexpected
from model_server.http import error_responses
from model_server.http.messages import Request, Response

log = logging.getLogger("model_server")

_READ_AS = {"HEAD": "GET"}
"""A HEAD is a GET whose answer is sent without its body."""


class Application:
    """A handler that asks an ASGI application.

    Its answer is sent once it is whole.

    Parameters
    ----------
    app : ASGI application
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, request: Request) -> Response:
        """Answer a request."""
        received = False
        response = Response(500)
        parts: list[bytes] = []

        async def receive() -> Message:
            nonlocal received
            if received:
                await asyncio.get_running_loop().create_future()  # until it is cancelled
            received = True
            return {"type": "http.request", "body": request.body, "more_body": False}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                response.status = message["status"]
                response.headers = [(name.lower(), value) for name, value in message["headers"]]
            else:
                parts.append(message.get("body", b""))

        try:
            await self._app(_scope(request), receive, send)
        except Exception as error:
            log.exception("%s %s failed", request.method, request.path)
            if not parts:
                return error_responses.answer(Unexpected(error))
        response.body = b"".join(parts)
        return response


def _scope(request: Request) -> Scope:
    """See the ASGI specification's HTTP connection scope."""
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": request.version,
        "method": _READ_AS.get(request.method, request.method),
        "scheme": "https" if request.secure else "http",
        "path": request.path,
        "raw_path": request.target.partition(b"?")[0],
        "query_string": request.query,
        "root_path": "",
        "headers": request.headers,
        "client": request.client,
        "server": None,
    }
    return scope
