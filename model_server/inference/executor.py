"""The threads in which a model predicts what would hold up the event loop, with a bounded queue.

What a call costs is estimated where a model is loaded. How far the estimates are off on a busy
machine is learned from the calls that have run.
"""

import asyncio
import math
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from time import perf_counter
from typing import Self, TypeVar

from model_server.errors import Overloaded
from model_server.inference.turns import Turns
from model_server.metrics import QUEUE_S, REJECTED
from model_server.threads import Threads

T = TypeVar("T")

_LEARNED = 0.1
"""The share of a new call in the pace."""

_OUTLIER = 4
"""How many times the pace a call counts at most: one that hangs says nothing of the others."""

_PATIENCE_S = 1.0
"""How much longer than the limit work waits that was let in by an estimate which was wrong."""

OVERRUN = 2
"""How many times the limit a call may take that was expected to keep it, before it is ended."""

_STUCK_S = 60.0
"""How much longer a call that can't be ended may take, before a restart is thought to be better."""


@dataclass(frozen=True)
class _Call:
    """A call that is running: since when, and how long it was expected to."""

    begun_s: float
    expected_s: float

    def rest_s(self, now_s: float) -> float:
        """Return what is expected yet: for one that is over its time, as long as it has run."""
        run_s = now_s - self.begun_s
        return self.expected_s - run_s if run_s < self.expected_s else run_s


class Executor:
    """A pool of threads that takes no work which would wait too long to be begun.

    Parameters
    ----------
    queue_limit_s : float
        Longest wait.
    n_threads : int
    time_limit_s : float, optional
        Longest call that is begun.
    """

    def __init__(
        self, queue_limit_s: float, n_threads: int = 1, time_limit_s: float | None = None
    ) -> None:
        self.n_threads = n_threads
        self.queue_limit_s = queue_limit_s
        self.time_limit_s = time_limit_s
        self._threads: Threads | None = None
        self._lock = threading.Lock()
        self._queued = 0
        self._queued_s = 0.0
        self._running: dict[int, _Call] = {}
        self._pace = 1.0

    def start(self) -> Self:
        """Start the threads, after which this process must not be forked."""
        self._threads = Threads(self.n_threads)
        return self

    @property
    def busy(self) -> bool:
        """Whether anything is running."""
        return bool(self._running)

    @property
    def stuck(self) -> bool:
        """Whether every thread has been at one call for much longer than a call may take."""
        if self.time_limit_s is None:
            return False
        with self._lock:
            begun_s = [call.begun_s for call in self._running.values()]
        limit_s = OVERRUN * self.time_limit_s + _STUCK_S
        return len(begun_s) == self.n_threads and perf_counter() - max(begun_s) > limit_s

    def wait_s(self) -> float:
        """Return how long work that came now would wait to be begun, in seconds."""
        with self._lock:
            if self._queued + len(self._running) < self.n_threads:
                return 0.0
            now_s = perf_counter()
            running_s = sum(call.rest_s(now_s) for call in self._running.values())
            return (running_s + self._queued_s * self._pace) / self.n_threads

    def check(self) -> None:
        """See that work would be begun in time.

        Raises
        ------
        Overloaded
        """
        wait_s = self.wait_s()
        if wait_s > self.queue_limit_s:
            REJECTED.labels("queue").inc()
            raise Overloaded("queue", math.ceil(wait_s))

    def submit(self, cost_s: float, call: Callable[[], T]) -> asyncio.Future[T]:
        """Return the result to come of a call; to cancel it keeps it from being begun.

        Parameters
        ----------
        cost_s : float
            How long it is expected to take.
        call : callable

        Returns
        -------
        future
            It fails with `Overloaded` if the call is not begun in time after all.
        """
        with self._lock:
            self._queued += 1
            self._queued_s += cost_s
        if self._threads is None:
            raise RuntimeError("an executor takes work once it is started")
        job = self._threads.submit(self._run, cost_s, call)
        job.add_done_callback(lambda job: self._leave_queue(job, cost_s))
        loop = asyncio.get_running_loop()
        result: asyncio.Future[T] = loop.create_future()
        late = loop.call_later(self.queue_limit_s + _PATIENCE_S, _give_up, job, result)

        def leave(_: asyncio.Future[T]) -> None:
            late.cancel()
            job.cancel()

        def arrive(job: Future[T]) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(_settle, result, job)

        result.add_done_callback(leave)
        job.add_done_callback(arrive)
        return result

    def _run(self, cost_s: float, call: Callable[[], T]) -> T:
        me, begun_s = threading.get_ident(), perf_counter()
        with self._lock:
            self._queued -= 1
            self._queued_s -= cost_s
            self._running[me] = _Call(begun_s, cost_s * self._pace)
        try:
            return call()
        finally:
            with self._lock:
                del self._running[me]
                pace = min((perf_counter() - begun_s) / cost_s, _OUTLIER * self._pace)
                self._pace += _LEARNED * (pace - self._pace)

    def _leave_queue(self, job: Future[T], cost_s: float) -> None:
        if job.cancelled():
            with self._lock:
                self._queued -= 1
                self._queued_s -= cost_s


def _give_up(job: Future[T], result: asyncio.Future[T]) -> None:
    """Refuse work that has waited for too long; what has begun is waited for."""
    if job.cancel() and not result.done():
        REJECTED.labels("queue").inc()
        result.set_exception(Overloaded("queue"))


def _settle(result: asyncio.Future[T], job: Future[T]) -> None:
    """Hand on what has come of a job, if it is still asked for."""
    if result.done() or job.cancelled():
        result.cancel()
    elif (error := job.exception()) is not None:
        result.set_exception(error)
    else:
        result.set_result(job.result())


class Executors:
    """The executors of a server, one for each model, so that none waits for another's requests.

    Parameters
    ----------
    queue_limit_s : float
        Longest wait.
    time_limit_s : float, optional
        Longest call.

    Attributes
    ----------
    turns : Turns
        In which the event loop reads what is long.
    """

    def __init__(self, queue_limit_s: float, time_limit_s: float | None = None) -> None:
        self.turns = Turns()
        self._queue_limit_s = queue_limit_s
        self._time_limit_s = time_limit_s
        self._made: weakref.WeakSet[Executor] = weakref.WeakSet()
        self._started = False
        QUEUE_S.set_function(lambda: max((each.wait_s() for each in self._made), default=0.0))

    def make(self, n_threads: int) -> Executor:
        """Return one more."""
        executor = Executor(self._queue_limit_s, n_threads, self._time_limit_s)
        if self._started:
            executor.start()
        self._made.add(executor)
        return executor

    def start(self) -> Self:
        """Start all, those that are made later too; this process must not be forked then."""
        self._started = True
        for executor in self._made:
            executor.start()
        return self

    @property
    def busy(self) -> bool:
        """Whether anything is running."""
        return any(each.busy for each in self._made)
