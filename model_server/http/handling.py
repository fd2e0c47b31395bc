"""A request in the hands of the handler, from its place in flight to its response."""

import asyncio
import logging
from collections.abc import Callable

from model_server.errors import Overloaded, RequestError, Unexpected
from model_server.http import error_responses
from model_server.http.messages import Response
from model_server.http.request_parser import Asked
from model_server.http.service import Service
from model_server.metrics import DISCONNECTED

log = logging.getLogger("model_server")

_GONE = "the client has gone"
"""Why a request is cancelled that no one waits for."""


class Handling:
    """Has the requests of one connection worked on, one at a time.

    Parameters
    ----------
    service : Service
    answer : callable
        What is done with a request and its response, once there is one.
    """

    def __init__(self, service: Service, answer: Callable[[Asked, Response], None]) -> None:
        self._service = service
        self._answer = answer
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[None] | None = None

    @property
    def busy(self) -> bool:
        """Whether a request is worked on that someone waits for."""
        return self._task is not None

    def begin(self, asked: Asked) -> RequestError | None:
        """Have a request worked on; return why it is not, if so."""
        limiter = self._service.limiter
        if asked.refusal is None and asked.counts:
            try:
                limiter.enter()
            except Overloaded as error:
                asked.refusal = error
        if asked.refusal is not None:
            limiter.shrink(asked.held_bytes)
            return asked.refusal
        try:
            self._task = self._loop.create_task(self._work(asked))
        except MemoryError:
            self._give_back(asked)
            raise
        return None

    def cut_off(self) -> None:
        """Have an error answered to what is worked on."""
        if self._task is not None:
            self._loop.call_soon(self._task.cancel)  # not before it has begun

    def abandon(self) -> None:
        """Stop working on what no one will read."""
        if self._task is not None:
            self._loop.call_soon(self._task.cancel, _GONE)  # not before it has begun
            self._task = None

    async def _work(self, asked: Asked) -> None:
        try:
            with self._service.limiter.working(asked.held_bytes):
                response = await self._service.handler(asked.request)
        except RequestError as error:
            response = error_responses.answer(error)
        except asyncio.CancelledError as cancelled:
            if cancelled.args == (_GONE,):
                DISCONNECTED.inc()
                return
            response = error_responses.answer(Overloaded("the server stops"), close=True)
        except Exception as error:
            log.exception("%s %s failed", asked.request.method, asked.request.path)
            response = error_responses.answer(Unexpected(error))
        finally:
            self._task = None
            self._give_back(asked)
        self._answer(asked, response)

    def _give_back(self, asked: Asked) -> None:
        """Give back place and room of a request that was begun."""
        self._service.limiter.shrink(asked.held_bytes)
        if asked.counts:
            self._service.limiter.leave()
