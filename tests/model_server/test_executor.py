"""The queue for the threads is bounded in time."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from model_server.errors import Overloaded
from model_server.inference import executor
from model_server.inference.executor import Executor


@pytest.fixture
def workers() -> Executor:
    return Executor(queue_limit_s=1.0, n_threads=2).start()


@pytest.fixture
def latch() -> Iterator[threading.Event]:
    """Hold back calls that wait for it; let them go at the end, whatever happens."""
    latch = threading.Event()
    yield latch
    latch.set()


async def begun(workers: Executor, n_jobs: int) -> None:
    async with asyncio.timeout(10):
        while len(workers._running) < n_jobs:  # noqa: ASYNC110 - threads set no event
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


async def test_one_that_hangs_says_nothing_of_the_others(
    workers: Executor, latch: threading.Event
) -> None:
    hanging = workers.submit(1e-9, latch.wait)
    await begun(workers, 1)
    latch.set()
    await hanging
    assert workers._pace < 2


async def test_what_waits_in_vain_is_refused(workers: Executor, latch: threading.Event) -> None:
    """A call that was expected to end at once goes on, and so does who waits for it."""
    running = [workers.submit(1e-9, latch.wait) for _ in range(2)]
    await begun(workers, 2)
    ran = threading.Event()
    with pytest.raises(Overloaded):
        await workers.submit(1e-9, ran.set)
    latch.set()
    await asyncio.gather(*running)
    assert not ran.is_set()


async def test_a_call_over_its_time_is_expected_to_take_as_long_again(
    workers: Executor, latch: threading.Event
) -> None:
    running = [workers.submit(1e-9, latch.wait) for _ in range(2)]
    await begun(workers, 2)
    async with asyncio.timeout(10):
        while workers.wait_s() < 0.2:  # noqa: ASYNC110 - threads set no event
            await asyncio.sleep(0)
    latch.set()
    await asyncio.gather(*running)


async def test_calls_that_do_not_return_are_told(
    latch: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor, "_STUCK_S", 0.1)
    workers = Executor(queue_limit_s=1.0, n_threads=1, time_limit_s=0.1).start()
    running = workers.submit(1e-9, latch.wait)
    await begun(workers, 1)
    async with asyncio.timeout(10):
        while not workers.stuck:  # noqa: ASYNC110 - threads set no event
            await asyncio.sleep(0)
    latch.set()
    await running
    assert not workers.stuck
