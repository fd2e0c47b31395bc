"""The threads that predict what would hold up the event loop, with a queue bounded in time.

What a call costs is estimated where a model is loaded. How far the estimates are off on a busy
machine is learned from the calls that have run.
"""

import asyncio
import math
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from time import perf_counter
from typing import TypeVar

from model_server.errors import Overloaded
from model_server.inference.turns import Turns
from model_server.metrics import QUEUE_S, REJECTED
from model_server.model.runtime import Runtime

T = TypeVar("T")

_LEARNED = 0.1
"""The share of a new call in the pace."""


class Executor:
    """A pool of threads that takes no work which would wait too long to be begun.

    Parameters
    ----------
    queue_limit_s : float
        Longest wait.
    n_threads : int, optional
        As many as there are CPUs for this process by default.
    """

    def __init__(self, queue_limit_s: float, n_threads: int | None = None) -> None:
        self.n_threads = n_threads or len(os.sched_getaffinity(0))
        self.queue_limit_s = queue_limit_s
        self._threads = ThreadPoolExecutor(self.n_threads, thread_name_prefix="predict")
        self._lock = threading.Lock()
        self._queued = 0
        self._queued_s = 0.0
        self._ends_s: dict[int, float] = {}
        self._pace = 1.0

    @property
    def busy(self) -> bool:
        """Whether anything is running."""
        return bool(self._ends_s)

    def wait_s(self) -> float:
        """Return how long work that came now would wait to be begun, in seconds."""
        with self._lock:
            if self._queued + len(self._ends_s) < self.n_threads:
                return 0.0
            now_s = perf_counter()
            running_s = sum(max(end_s - now_s, 0.0) for end_s in self._ends_s.values())
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
        """
        with self._lock:
            self._queued += 1
            self._queued_s += cost_s
        job = self._threads.submit(self._run, cost_s, call)
        job.add_done_callback(lambda job: self._leave_queue(job, cost_s))
        return asyncio.wrap_future(job)

    def close(self) -> None:
        """Begin nothing more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _run(self, cost_s: float, call: Callable[[], T]) -> T:
        me, begun_s = threading.get_ident(), perf_counter()
        with self._lock:
            self._queued -= 1
            self._queued_s -= cost_s
            self._ends_s[me] = begun_s + cost_s * self._pace
        try:
            return call()
        finally:
            with self._lock:
                del self._ends_s[me]
                self._pace += _LEARNED * ((perf_counter() - begun_s) / cost_s - self._pace)

    def _leave_queue(self, job: Future[T], cost_s: float) -> None:
        if job.cancelled():
            with self._lock:
                self._queued -= 1
                self._queued_s -= cost_s


class Executors:
    """The executors of a server: a thread for each CPU, and one thread for what keeps the lock.

    A graph gives up the interpreter's lock while it predicts. An estimator takes it again and
    again: two of them get less done than one, and hand it to each other before the event loop,
    which waits for it as well, has had its turn.

    Parameters
    ----------
    queue_limit_s : float
        Longest wait.

    Attributes
    ----------
    turns : Turns
        In which the event loop reads what is long.
    """

    def __init__(self, queue_limit_s: float) -> None:
        self.turns = Turns()
        self._parallel = Executor(queue_limit_s)
        self._single = Executor(queue_limit_s, 1)
        QUEUE_S.set_function(lambda: max(self._parallel.wait_s(), self._single.wait_s()))

    def of(self, runtime: Runtime) -> Executor:
        """Return the one that a runtime predicts in."""
        return self._parallel if runtime.gives_up_lock else self._single

    @property
    def n_threads(self) -> int:
        """How many predict at the same time."""
        return self._parallel.n_threads

    @property
    def busy(self) -> bool:
        """Whether anything is running."""
        return self._parallel.busy or self._single.busy

    def close(self) -> None:
        """Begin nothing more."""
        self._parallel.close()
        self._single.close()
