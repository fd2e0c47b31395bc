"""The drain: how a server that is told to stop sends its clients elsewhere without losing one."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_READINESS = ("/v2/health/ready",)
_NOT_READY = b'{"error":"Server is not ready. It is stopping."}'


class Drain:
    """ASGI middleware that, once `begin` was called, closes each connection with its next answer.

    A client on a kept-alive connection then connects anew, to another server. Readiness turns 503
    at once.

    Parameters
    ----------
    app : ASGI application
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._draining = False

    def begin(self) -> None:
        """Start to drain."""
        self._draining = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the ASGI specification."""
        if not self._draining or scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def closing_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [*message.get("headers", ()), (b"connection", b"close")]
                message = {**message, "headers": headers}
            await send(message)

        if scope["path"] in _READINESS:
            headers = [(b"content-type", b"application/json")]
            await closing_send({"type": "http.response.start", "status": 503, "headers": headers})
            await closing_send({"type": "http.response.body", "body": _NOT_READY})
            return
        await self._app(scope, receive, closing_send)
