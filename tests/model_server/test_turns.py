import asyncio
from collections.abc import Generator

import pytest

from model_server.inference import turns
from model_server.inference.turns import Turns


def counted(name: str, done: list[str]) -> Generator[None, None, str]:
    for _ in range(20):
        done.append(name)
        yield
    return name


@pytest.fixture(autouse=True)
def _a_step_a_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "_SLICE_S", 0.0)


async def test_each_slice_has_a_turn_of_its_own() -> None:
    taken, done = Turns(), list[str]()
    most = 0
    work = asyncio.gather(*(taken.take(counted(name, done)) for name in "abc"))
    while not work.done():
        before = len(done)
        await asyncio.sleep(0)
        most = max(most, len(done) - before)
    assert await work == ["a", "b", "c"]
    assert most == 1
    assert done == ["a", "b", "c"] * 20


async def test_what_is_cancelled_holds_up_nobody() -> None:
    taken, done = Turns(), list[str]()
    first = asyncio.create_task(taken.take(counted("a", done)))
    second = asyncio.create_task(taken.take(counted("b", done)))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == "b"
    assert done.count("a") < 20


async def test_an_error_ends_it() -> None:
    def wrong() -> Generator[None, None, None]:
        yield
        raise ValueError("row 1")

    taken = Turns()
    with pytest.raises(ValueError, match="row 1"):
        await taken.take(wrong())
    assert await taken.take(counted("a", [])) == "a"
