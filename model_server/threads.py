"""Threads that run before they are asked for anything, so that none is started in the event loop.

``threading.Thread.start`` waits until the thread runs, and in CPython up to 3.13 for ever if there
is no memory for its first steps. ``ThreadPoolExecutor`` does so where work is handed to it, with a
lock that all pools share.
"""

import _thread
import functools
import queue
import weakref
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

from typing_extensions import override

P = ParamSpec("P")
T = TypeVar("T")
_Jobs = queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None]

_BEGIN_S = 10.0


class _Held:
    """What a thread holds alone: it goes when the thread does, begun or not."""

    __slots__ = ("__weakref__",)


def start(run: Callable[[], None]) -> None:
    """Run something in a thread that ends with the process.

    Raises
    ------
    MemoryError
        If there is none for a thread.
    """
    begun: queue.SimpleQueue[object] = queue.SimpleQueue()

    def begin(_: _Held) -> None:
        begun.put(None)
        run()

    held = _Held()
    given_up = weakref.ref(held, begun.put)
    try:
        _thread.start_new_thread(begin, (held,))
        del held
        if begun.get(timeout=_BEGIN_S) is given_up:
            raise MemoryError("there is no memory for a thread")
    except (RuntimeError, queue.Empty) as error:
        raise MemoryError("there is no memory for a thread") from error


class Threads(ThreadPoolExecutor):
    """So many threads that do one job after the other, and end with this object.

    Parameters
    ----------
    n_threads : int

    Raises
    ------
    MemoryError
        If there is none for them.
    """

    def __init__(self, n_threads: int) -> None:
        self._jobs: _Jobs = queue.SimpleQueue()
        self._end = weakref.finalize(self, _end, self._jobs, n_threads)
        for _ in range(n_threads):
            start(functools.partial(_work, self._jobs))

    @override
    def submit(
        self, call: Callable[P, T], /, *arguments: P.args, **keywords: P.kwargs
    ) -> Future[T]:
        """Return the result to come of a call; to cancel it keeps it from being begun."""
        job: Future[T] = Future()
        self._jobs.put((job, functools.partial(call, *arguments, **keywords)))
        return job

    @override
    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the threads once they have done what was submitted; nobody waits for them."""
        self._end()


def _work(jobs: _Jobs) -> None:
    while (waiting := jobs.get()) is not None:
        _do(*waiting)
        del waiting  # or its model would live until the next one


def _do(job: Future[T], call: Callable[[], T]) -> None:
    if not job.set_running_or_notify_cancel():
        return
    try:
        result = call()
    except BaseException as error:  # noqa: BLE001 - it is raised where the result is waited for
        job.set_exception(error)
    else:
        job.set_result(result)


def _end(jobs: _Jobs, n_threads: int) -> None:
    for _ in range(n_threads):
        jobs.put(None)
