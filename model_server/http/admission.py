"""The admission of requests: what each must pass before it is read and worked on.

A body has a longest length. All bodies together have one as well, and there are so many requests in
flight at most; what would be more is answered 503 at once. How long work may wait is bounded where
it is queued, in `model_server.inference.executor`.
"""

import asyncio
import contextlib

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from model_server.errors import Overloaded, RequestError, TooLarge
from model_server.http.connection import GONE
from model_server.http.error_responses import send_error
from model_server.inference.in_flight import InFlightLimiter
from model_server.metrics import DISCONNECTED, REJECTED

_DISCARDED = 4
"""So many times the limit is read and thrown away, as most clients send all before they listen."""

_READS_NO_BODY = ("GET", "HEAD")


class Admission:
    """ASGI middleware that lets requests with a body in where there is a place for them.

    A length that is announced is believed at once; one that is not is counted as it comes in, and
    what the application answers after that is dropped. A client that goes away frees its place.

    Parameters
    ----------
    app : ASGI application
    limiter : InFlightLimiter
    limit_bytes : int
        Longest body.
    """

    def __init__(self, app: ASGIApp, limiter: InFlightLimiter, limit_bytes: int) -> None:
        self._app = app
        self._limiter = limiter
        self._limit_bytes = limit_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the ASGI specification."""
        if scope["type"] != "http" or scope["method"] in _READS_NO_BODY:
            await self._app(scope, receive, send)
            return
        try:
            await self._admit(scope, receive, send)
        except asyncio.CancelledError as cancelled:
            if cancelled.args == (GONE,):
                DISCONNECTED.inc()
                return
            await send_error(send, Overloaded("the server stops"), close=True)

    async def _admit(self, scope: Scope, receive: Receive, send: Send) -> None:
        length_bytes = None
        for name, value in scope["headers"]:
            if name == b"content-length":
                length_bytes = int(value)
                break
        try:
            self._check(length_bytes or 0)
            self._limiter.enter(length_bytes or 0)
        except TooLarge as error:
            if (length_bytes or 0) <= _DISCARDED * self._limit_bytes:
                await self._discard(receive)
            await send_error(send, error, close=True)
            return
        except Overloaded as error:
            await send_error(send, error)
            return
        if length_bytes is None:
            await self._count(scope, receive, send)
            return
        try:
            await self._app(scope, receive, send)
        finally:
            self._limiter.leave(length_bytes)

    async def _count(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on a request whose length is not announced, and give its place back."""
        held_bytes, more, refused = 0, True, None

        async def counted_receive() -> Message:
            nonlocal held_bytes, more, refused
            message = await receive()
            length_bytes = len(message.get("body", b""))
            more = message.get("more_body", False)
            try:
                self._check(held_bytes + length_bytes)
                self._limiter.grow(length_bytes)
            except RequestError as error:
                refused = error
                raise
            held_bytes += length_bytes
            return message

        async def counted_send(message: Message) -> None:
            if refused is None:
                await send(message)

        try:
            with contextlib.suppress(TooLarge, Overloaded):
                await self._app(scope, counted_receive, counted_send)
            if refused is not None:
                if more:
                    await self._discard(receive)
                await send_error(send, refused, close=True)
        finally:
            self._limiter.leave(held_bytes)

    def _check(self, length_bytes: int) -> None:
        if length_bytes > self._limit_bytes:
            REJECTED.labels("body").inc()
            raise TooLarge(f"the body is longer than {self._limit_bytes} bytes; send fewer rows")

    async def _discard(self, receive: Receive) -> None:
        budget_bytes = _DISCARDED * self._limit_bytes
        while budget_bytes > 0:
            message = await receive()
            budget_bytes -= len(message.get("body", b""))
            if not message.get("more_body"):
                return
