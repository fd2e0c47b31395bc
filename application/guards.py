"""What stands before the pages: headers for the browser, and what is turned away.

A guard raises an `ApplicationError`, which is answered like any other.
"""

import math
import time
from collections import OrderedDict

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from application.client import payer
from application.errors import ForeignOrigin, TooOften

_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "manifest-src 'self'",
        "worker-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=()",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
}
_READS = ("GET", "HEAD")
_CLIENTS = 10_000


class SecurityHeaders:
    """Tell the browser what these pages never do."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and its answer with the headers."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(_HEADERS)
                if scope["scheme"] == "https":
                    headers["strict-transport-security"] = "max-age=31536000"
            await send(message)

        await self._app(scope, receive, send_with_headers)


class SameOrigin:
    """Turn away what another site makes a browser send; a client that is no browser may."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or turn it away."""
        if scope["method"] not in _READS and _is_foreign(Headers(scope=scope)):
            raise ForeignOrigin("This form was sent by another site.")
        await self._app(scope, receive, send)


def _is_foreign(headers: Headers) -> bool:
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in {"same-origin", "none"}
    origin = headers.get("origin")
    return origin is not None and origin.partition("://")[2] != headers.get("host")


class RateLimit:
    """Turn away a client that asks more often than so many times a minute.

    A bucket holds a minute's requests and fills steadily. Each replica counts for itself, and
    forgets the clients that it has not seen for longest.

    Parameters
    ----------
    app : ASGIApp
    limit : int
        Requests a minute; 0 for any number.
    """

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app = app
        self._limit = limit
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or turn it away."""
        if self._limit:
            self._take(payer(scope))
        await self._app(scope, receive, send)

    def _take(self, client: str) -> None:
        now_s = time.monotonic()
        held, then_s = self._buckets.pop(client, (float(self._limit), now_s))
        held = min(held + (now_s - then_s) * self._limit / 60, self._limit)
        self._buckets[client] = (held - 1 if held >= 1 else held, now_s)
        if len(self._buckets) > _CLIENTS:
            self._buckets.popitem(last=False)
        if held < 1:
            raise TooOften(math.ceil((1 - held) * 60 / self._limit))
