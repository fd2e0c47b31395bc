"""The queue for the threads is bounded in time."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from model_server.errors import Overloaded
from model_server.inference.executor import Executor


@pytest.fixture
def workers() -> Iterator[Executor]:
    workers = Executor(queue_limit_s=1.0, n_threads=2)
    yield workers
    workers.close()


@pytest.fixture
def latch() -> Iterator[threading.Event]:
    """Hold back calls that wait for it; let them go at the end, whatever happens."""
    latch = threading.Event()
    yield latch
    latch.set()


async def begun(workers: Executor, n_jobs: int) -> None:
    async with asyncio.timeout(10):
        while len(workers._ends_s) < n_jobs:  # noqa: ASYNC110 - threads set no event
            await asyncio.sleep(0)


async def test_work_waits_for_what_is_before_it(workers: Executor, latch: threading.Event) -> None:
    assert workers.wait_s() == 0
    jobs = [workers.submit(10.0, latch.wait)]
    await begun(workers, 1)
    assert workers.wait_s() == 0, "a thread is idle"
    jobs.append(workers.submit(10.0, latch.wait))
    await begun(workers, 2)
    assert 5 < workers.wait_s() <= 10
    with pytest.raises(Overloaded, match=r"too much to do \(queue\); ask again in \d+ s"):
        workers.check()
    latch.set()
    assert await asyncio.gather(*jobs) == [True, True]
    assert workers.wait_s() == 0
    assert not workers.busy


async def test_a_short_queue_is_let_in(workers: Executor, latch: threading.Event) -> None:
    jobs = [workers.submit(0.5, latch.wait) for _ in range(3)]
    await begun(workers, 2)
    workers.check()
    latch.set()
    await asyncio.gather(*jobs)


async def test_cancelled_work_is_never_begun(workers: Executor, latch: threading.Event) -> None:
    first = [workers.submit(1.0, latch.wait) for _ in range(2)]
    await begun(workers, 2)
    ran = threading.Event()
    second = workers.submit(100.0, ran.set)
    assert workers.wait_s() > 50
    second.cancel()
    async with asyncio.timeout(10):
        while workers.wait_s() > 50:  # noqa: ASYNC110 - threads set no event
            await asyncio.sleep(0)
    latch.set()
    await asyncio.gather(*first)
    assert not ran.is_set()


async def test_estimates_are_corrected(workers: Executor, latch: threading.Event) -> None:
    """Calls that take a thousandth of what was estimated make room for more."""
    for _ in range(60):
        await workers.submit(10.0, lambda: None)
    jobs = [workers.submit(10.0, latch.wait) for _ in range(4)]
    await begun(workers, 2)
    assert workers.wait_s() < 1
    latch.set()
    await asyncio.gather(*jobs)


async def test_an_error_reaches_who_waits(workers: Executor) -> None:
    with pytest.raises(ZeroDivisionError):
        await workers.submit(1.0, lambda: 1 / 0)
    assert not workers.busy
