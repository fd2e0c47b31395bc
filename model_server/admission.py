"""The admission of requests: what each must pass before it is read and worked on.

A body has a longest length. All bodies together have one as well, and there are so many requests in
flight at most; what would be more is answered 503 at once. How long work may wait is bounded where
it is queued, in `model_server.workers`.
"""

import asyncio
import contextlib

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from model_server.answers import send_error
from model_server.connection import GONE
from model_server.errors import Overloaded, RequestError, TooLarge
from model_server.metrics import BODY_BYTES, DISCONNECTED, IN_FLIGHT, REJECTED

_DISCARDED = 4
"""So many times the limit is read and thrown away, as most clients send all before they listen."""

_READS_NO_BODY = ("GET", "HEAD")


class Places:
    """The places for requests in flight, over all protocols.

    Parameters
    ----------
    requests_limit : int
    bytes_limit : int
        Of all bodies together.
    """

    def __init__(self, requests_limit: int, bytes_limit: int) -> None:
        self._requests_limit = requests_limit
        self._bytes_limit = bytes_limit
        self._requests = 0
        self._bytes = 0
        IN_FLIGHT.set_function(lambda: self._requests)
        BODY_BYTES.set_function(lambda: self._bytes)

    def enter(self, length_bytes: int) -> None:
        """Take a place for a request; `leave` gives it back.

        Raises
        ------
        Overloaded
        """
        if self._requests >= self._requests_limit:
            REJECTED.labels("requests").inc()
            raise Overloaded("requests")
        self.grow(length_bytes)
        self._requests += 1

    def grow(self, length_bytes: int) -> None:
        """Take more room for the body of a request that has a place.

        Raises
        ------
        Overloaded
        """
        if self._bytes + length_bytes > self._bytes_limit:
            REJECTED.labels("bytes").inc()
            raise Overloaded("bytes")
        self._bytes += length_bytes

    def leave(self, length_bytes: int) -> None:
        """Give back the place and the whole room of a request."""
        self._requests -= 1
        self._bytes -= length_bytes


class Admission:
    """ASGI middleware that lets requests with a body in where there is a place for them.

    A length that is announced is believed at once; one that is not is counted as it comes in, and
    what the application answers after that is dropped. A client that goes away frees its place.

    Parameters
    ----------
    app : ASGI application
    places : Places
    limit_bytes : int
        Longest body.
    """

    def __init__(self, app: ASGIApp, places: Places, limit_bytes: int) -> None:
        self._app = app
        self._places = places
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
            self._places.enter(length_bytes or 0)
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
            self._places.leave(length_bytes)

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
                self._places.grow(length_bytes)
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
            self._places.leave(held_bytes)

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
