import asyncio
import itertools
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


async def test_others_have_turns_between_any_two_slices() -> None:
    taken, done = Turns(), list[str]()
    turns_of: list[int] = []
    work = asyncio.gather(*(taken.take(counted(name, done)) for name in "abc"))
    turn = 0
    while not work.done():
        before, turn = len(done), turn + 1
        await asyncio.sleep(0)
        turns_of += [turn] * (len(done) - before)
    assert await work == ["a", "b", "c"]
    assert min(later - turn for turn, later in itertools.pairwise(turns_of)) > 3, "others' turns"
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
