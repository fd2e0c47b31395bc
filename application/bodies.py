"""What the bodies of requests may hold, all together, and how long their clients may take.

::

    a body                at most the limit, or 413; whole within the time, or 408
    those of a client     together at most the limit, and 32 at a time, or 503
    those of all          together four times that, or 503
    an answer             taken within the time, or cut off

What counts is what has come in: a client that has sent nothing holds nothing. A body holds its room
until its answer is out. Of the time, only that counts in which a client was waited for.

Connections, and heads that come in slowly, are bounded by `application.server`.
"""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Awaitable
from typing import TypeVar

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from application.client import payer
from application.errors import ApplicationError, Crowded, TooLong, TooSlow

CLIENTS = 4
"""So many clients can have all the room that one may."""
BODIES = 32
"""So many bodies fill a client's room, however short they are: each costs more than its bytes."""
_DISCARDED = 4
"""So many times the limit is read and thrown away, as browsers send all before they listen."""

log = logging.getLogger("application")

Waited = TypeVar("Waited")


class Bodies:
    """Turn away bodies that there is no room or no time for.

    Parameters
    ----------
    app : ASGIApp
    limit_bytes : int
        The longest body.
    timeout_s : float
        How long a client may be waited for while it sends, and again while it takes its answer.
    """

    def __init__(self, app: ASGIApp, limit_bytes: int, timeout_s: float) -> None:
        self._app = app
        self._room = _Room(limit_bytes)
        self._timeout_s = timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or turn it away."""
        body = _Body(self._room, payer(scope), receive, self._timeout_s)
        taking = _Patience(self._timeout_s)
        error: ApplicationError | None = None

        async def send_in_time(message: Message) -> None:
            try:
                await taking.wait(send(message))
            except TimeoutError:
                raise _Untaken from None

        try:
            await self._app(scope, body.receive, send_in_time)
        except _Refusal as refusal:
            error = refusal.error
        except _Untaken:
            log.info("an answer was not taken in time", extra={"path": scope["path"]})
        except ClientDisconnect:
            pass
        finally:
            body.release()
        if error is not None:  # what was read of the body is forgotten by now
            await body.discard()
            raise error


class _Room:
    """The bytes that the bodies of each client hold."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.least_bytes = limit_bytes // BODIES
        self._held: Counter[str] = Counter()

    def take(self, client: str, n_bytes: int) -> bool:
        """Take so much for a client, if there is."""
        if self._held[client] + n_bytes > self.limit_bytes:
            return False
        if self._held.total() + n_bytes > CLIENTS * self.limit_bytes:
            return False
        self._held[client] += n_bytes
        return True

    def give(self, client: str, n_bytes: int) -> None:
        """Give so much back."""
        self._held[client] -= n_bytes
        if not self._held[client]:
            del self._held[client]


class _Body:
    """The body of a request, as it comes in."""

    def __init__(self, room: _Room, client: str, receive: Receive, timeout_s: float) -> None:
        self._room = room
        self._client = client
        self._receive = receive
        self._timeout_s = timeout_s
        self._sending = _Patience(timeout_s)
        self._read_bytes = 0
        self._held_bytes = 0
        self._whole = False

    async def receive(self) -> Message:
        """Return the next message; when the body is whole, that is for long none."""
        if self._whole:
            return await self._receive()
        try:
            message = await self._next()
        except TimeoutError:
            raise _Refusal(TooSlow(self._timeout_s)) from None
        if self._read_bytes > self._room.limit_bytes:
            raise _Refusal(TooLong(self._room.limit_bytes))
        if self._read_bytes:
            self._hold(max(self._read_bytes, self._room.least_bytes))
        return message

    async def discard(self) -> None:
        """Read what still comes in, and throw it away."""
        with contextlib.suppress(TimeoutError):
            while not self._whole and self._read_bytes < _DISCARDED * self._room.limit_bytes:
                await self._next()

    def release(self) -> None:
        """Give the room back."""
        self._room.give(self._client, self._held_bytes)

    async def _next(self) -> Message:
        message = await self._sending.wait(self._receive())
        self._read_bytes += len(message.get("body", b""))
        self._whole = not message.get("more_body", False)
        return message

    def _hold(self, n_bytes: int) -> None:
        if not self._room.take(self._client, n_bytes - self._held_bytes):
            raise _Refusal(Crowded())
        self._held_bytes = n_bytes


class _Patience:
    """So much time for all that is waited for together."""

    def __init__(self, left_s: float) -> None:
        self._left_s = left_s

    async def wait(self, awaited: Awaitable[Waited]) -> Waited:
        """Wait.

        Raises
        ------
        TimeoutError
        """
        loop = asyncio.get_running_loop()
        since_s = loop.time()
        try:
            async with asyncio.timeout(self._left_s):
                return await awaited
        finally:
            self._left_s -= loop.time() - since_s


class _Refusal(Exception):
    """Takes an error past the handlers of the pages, so that what they hold is let go first."""

    def __init__(self, error: ApplicationError) -> None:
        super().__init__(error)
        self.error = error


class _Untaken(Exception):
    """An answer that its client does not take."""
