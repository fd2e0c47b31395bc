"""An ASGI application as a handler of requests that come in piece by piece."""

import asyncio
import logging
from typing import Any

from starlette.types import ASGIApp, Message, Scope

from model_server.errors import RequestError, Unexpected
from model_server.http.messages import Request, Response, Stream

log = logging.getLogger("model_server")

_READ_AS = {"HEAD": "GET"}
"""A HEAD is a GET whose answer is sent without its body."""


class StreamedApplication:
    """A handler, for a `StreamedConnection`, that asks an ASGI application.

    A request whose client goes away is cancelled.

    Parameters
    ----------
    app : ASGI application
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, request: Request) -> Response:
        """Answer a request.

        Raises
        ------
        RequestError
            If the application gives no whole answer.
        """
        if request.stream is None:
            raise TypeError("a request that is whole has no stream")
        exchange = _Exchange(request.stream)
        fault: RequestError = Unexpected(EOFError())
        try:
            await self._app(_scope(request), exchange.receive, exchange.send)
        except Exception as error:
            log.exception("%s %s failed", request.method, request.path)
            fault = Unexpected(error)
        if not exchange.answered:
            raise exchange.cut_off or fault
        return exchange.response


class _Exchange:
    """A request and its answer, in ASGI's messages."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._received = False
        self._begun = False
        self.response = Response(500)
        self.answered = False
        self.cut_off: RequestError | None = None

    async def receive(self) -> Message:
        """Return the next of the body."""
        if self._received:
            await asyncio.get_running_loop().create_future()  # until it is cancelled
        try:
            part = await self._stream.read()
        except RequestError as error:
            self.cut_off = error
            return {"type": "http.disconnect"}
        self._received = not part
        return {"type": "http.request", "body": part, "more_body": bool(part)}

    async def send(self, message: Message) -> None:
        """Send an answer as it comes; one that is whole at once is sent by who asked for it."""
        if message["type"] == "http.response.start":
            _start(self.response, message)
            return
        part, more = message.get("body", b""), message.get("more_body", False)
        if more and not self._begun:
            self._begun = True
            await self._stream.begin(self.response)
        if self._begun:
            await self._stream.write(part)
        else:
            self.response.body = part
        self.answered = not more


def _start(response: Response, message: Message) -> None:
    """See the ASGI specification's response start event."""
    response.status = message["status"]
    response.headers = [(name.lower(), value) for name, value in message["headers"]]
    response.close = (b"connection", b"close") in response.headers


def _scope(request: Request) -> Scope:
    """See the ASGI specification's HTTP connection scope."""
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
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
