"""What the workers of a server ask each other, as one of them does it."""

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Protocol, cast

from model_server import threads

Doing = Callable[[str], Awaitable[Any]]


@dataclass(frozen=True)
class Serving:
    """A worker has begun to serve: what its log would say."""

    told: dict[str, Any]


@dataclass(frozen=True)
class Question:
    """What all are to do; `number` is the asker's, or in what it is passed on by the supervisor's.

    Attributes
    ----------
    number : int
    what, about : str
    patience_s : float or None
        After which those that have not answered are left out.
    """

    number: int
    what: str
    about: str
    patience_s: float | None


@dataclass(frozen=True)
class Answer:
    """What one has to say to a question; an exception is raised where the answer is awaited."""

    number: int
    value: Any


@dataclass(frozen=True)
class Answers:
    """What all have to say."""

    number: int
    values: list[Any]


class Fleet(Protocol):
    """The processes that serve.

    Attributes
    ----------
    doing : dict of str to callable
        What this process does when it is asked, by what; each is called with what it is about.
    """

    doing: dict[str, Doing]

    async def ask_all(
        self, what: str, about: str = "", patience_s: float | None = None
    ) -> list[Any]:
        """Have every process do something, this one as well.

        Parameters
        ----------
        what, about : str
        patience_s : float, optional
            After which those that have not answered are left out.

        Returns
        -------
        list
            What each gives.

        Raises
        ------
        RequestError
            The first that one of them raised.
        """
        ...


class Alone(Fleet):
    """A process that has no siblings."""

    def __init__(self) -> None:
        self.doing = {}

    async def ask_all(
        self, what: str, about: str = "", patience_s: float | None = None
    ) -> list[Any]:
        """See `Fleet.ask_all`."""
        async with asyncio.timeout(patience_s):
            return [await self.doing[what](about)]


class Sibling(Fleet):
    """A worker, one of several."""

    def __init__(self) -> None:
        self.doing = {}
        self._supervisor = cast("Connection", None)  # until it is forked
        self._sending = threading.Lock()
        self._asked: dict[int, asyncio.Future[list[Any]]] = {}
        self._number = 0
        self._at_work: set[asyncio.Task[None]] = set()

    def connect(self, supervisor: Connection) -> None:
        """Take the way to the others, in the process that was forked."""
        self._supervisor = supervisor

    def start(self, told: dict[str, Any]) -> None:
        """Tell that this worker serves, and do what the others ask, from now on."""
        self._loop = asyncio.get_running_loop()
        threads.start(self._listen)
        self._send(Serving(told))

    async def ask_all(
        self, what: str, about: str = "", patience_s: float | None = None
    ) -> list[Any]:
        """See `Fleet.ask_all`."""
        self._number += 1
        question = Question(self._number, what, about, patience_s)
        answers = self._asked[question.number] = self._loop.create_future()
        try:
            await asyncio.to_thread(self._send, question)
            values: list[Any] = await answers
        finally:
            del self._asked[question.number]
        for value in values:
            if isinstance(value, Exception):
                raise value
        return values

    def _listen(self) -> None:
        with contextlib.suppress(EOFError, OSError, RuntimeError):  # the other end, or the loop
            while True:
                self._loop.call_soon_threadsafe(self._take, self._supervisor.recv())

    def _take(self, message: Question | Answers) -> None:
        if isinstance(message, Answers):
            asked = self._asked.get(message.number)
            if asked is not None and not asked.done():
                asked.set_result(message.values)
            return
        task = self._loop.create_task(self._answer(message))
        self._at_work.add(task)
        task.add_done_callback(self._at_work.discard)

    async def _answer(self, question: Question) -> None:
        try:
            value = await self.doing[question.what](question.about)
        except Exception as error:  # noqa: BLE001 - it is raised where the answer is awaited
            value = error
        await asyncio.to_thread(self._send, Answer(question.number, value))

    def _send(self, message: Any) -> None:
        with self._sending, contextlib.suppress(OSError):  # the supervisor has ended
            self._supervisor.send(message)
