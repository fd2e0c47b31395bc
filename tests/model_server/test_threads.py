"""Threads that are there before they are asked for anything."""

import _thread
import gc
import threading
from collections.abc import Callable
from time import monotonic
from typing import Any

import pytest

from model_server.threads import Threads


def alive() -> int:
    return _thread._count()


def test_all_run_before_the_first_job() -> None:
    before = alive()
    pool = Threads(3)
    assert alive() == before + 3
    met = threading.Barrier(3, timeout=10)
    jobs = [pool.submit(met.wait) for _ in range(3)]
    assert sorted(job.result() for job in jobs) == [0, 1, 2]


def test_an_error_is_raised_where_the_result_is_waited_for() -> None:
    pool = Threads(1)
    with pytest.raises(ZeroDivisionError):
        pool.submit(lambda: 1 / 0).result()
    assert pool.submit(divmod, 7, 2).result() == (3, 1)


def test_a_job_that_is_cancelled_is_not_begun() -> None:
    pool = Threads(1)
    latch = threading.Event()
    first = pool.submit(latch.wait)
    second = pool.submit(pytest.fail)
    assert second.cancel()
    latch.set()
    assert first.result() is True
    assert pool.submit(int).result() == 0


def test_they_end_with_the_pool() -> None:
    before = alive()
    pool = Threads(2)
    pool.submit(int).result()
    del pool
    gc.collect()
    deadline_s = monotonic() + 10
    while alive() > before:
        assert monotonic() < deadline_s


def refuse(*_: Any) -> None:
    raise RuntimeError("can't start new thread")


@pytest.mark.parametrize(
    "start",
    [
        pytest.param(refuse, id="no memory for its stack"),
        pytest.param(lambda *_: None, id="none for its first steps"),
    ],
)
def test_one_that_does_not_begin_is_told(
    start: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_thread, "start_new_thread", start)
    with pytest.raises(MemoryError, match="there is no memory for a thread"):
        Threads(1)
