"""The limit on a request's body."""

import contextlib

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from model_server.errors import BodyTooLarge

_DISCARDED = 4
"""So many times the limit is read and thrown away, as most clients send all before they listen."""


class BodyLimit:
    """ASGI middleware that answers 413 to a body longer than the limit.

    A length that is announced is believed at once; one that is not is counted as it comes in, and
    what the application answers after that is dropped.

    Parameters
    ----------
    app : ASGI application
    limit_bytes : int
    """

    def __init__(self, app: ASGIApp, limit_bytes: int) -> None:
        self._app = app
        self._limit_bytes = limit_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the ASGI specification."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = next((v for k, v in scope["headers"] if k == b"content-length"), b"0")
        received_bytes, more = 0, True

        async def limited_receive() -> Message:
            nonlocal received_bytes, more
            message = await receive()
            received_bytes += len(message.get("body", b""))
            more = message.get("more_body", False)
            if received_bytes > self._limit_bytes:
                raise BodyTooLarge
            return message

        async def limited_send(message: Message) -> None:
            if received_bytes <= self._limit_bytes:
                await send(message)

        if int(announced) <= self._limit_bytes:
            with contextlib.suppress(BodyTooLarge):
                await self._app(scope, limited_receive, limited_send)
            if received_bytes <= self._limit_bytes:
                return
        if more and int(announced) <= _DISCARDED * self._limit_bytes:
            await self._discard(receive)
        await self._refuse(send)

    async def _discard(self, receive: Receive) -> None:
        budget_bytes = _DISCARDED * self._limit_bytes
        while budget_bytes > 0:
            message = await receive()
            budget_bytes -= len(message.get("body", b""))
            if not message.get("more_body"):
                return

    async def _refuse(self, send: Send) -> None:
        error = BodyTooLarge(f"the body is longer than {self._limit_bytes} bytes; send fewer rows")
        body = orjson.dumps({"error": str(error)})
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        await send({"type": "http.response.start", "status": error.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
