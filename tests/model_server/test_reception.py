"""The seats of messages that come in by gRPC: none is lost, and who stalls keeps none."""

import asyncio
from typing import Any

import pytest

from harness.processes import DEADLINE_S
from model_server.errors import Overloaded
from model_server.inference.in_flight import InFlightLimiter
from model_server.kserve import reception as module
from model_server.kserve.reception import Reception


class Client:
    """A call, as its context shows it, whose message comes once it is sent."""

    def __init__(self) -> None:
        self._message: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def read(self) -> bytes:
        return await self._message

    def send(self) -> None:
        self._message.set_result(b"message")


def seats(number: int) -> Reception:
    """Return a reception with so many seats: half of all room is theirs, with two copies a seat."""
    return Reception(InFlightLimiter(10, number * 4 * 1000), limit_bytes=1000, timeout_s=60)


def read(reception: Reception, client: Client) -> asyncio.Task[bytes]:
    """Read a call's message; a seat that is lost fails the test, and does not stop it."""
    context: Any = client

    async def soon() -> bytes:
        async with asyncio.timeout(DEADLINE_S):
            return await reception.read(context)

    return asyncio.create_task(soon())


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.mark.parametrize("turns_before", [0, 1, 2, 3])
async def test_a_seat_given_to_who_leaves_is_given_on(turns_before: int) -> None:
    reception = seats(1)
    first, second, third = Client(), Client(), Client()
    reads = [read(reception, client) for client in (first, second, third)]
    await turns()
    first.send()
    for _ in range(turns_before):
        await asyncio.sleep(0)
    reads[2].cancel()
    second.send()
    assert await reads[1] == b"message"


async def test_who_stalls_gives_up_its_seat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SWIFT_S", 0)
    reception = seats(2)
    stalled = [read(reception, Client()) for _ in range(10)]
    await turns()
    client = Client()
    client.send()
    assert await read(reception, client) == b"message"
    with pytest.raises(Overloaded, match="bytes"):
        await stalled[0]
    for one in stalled:
        one.cancel()
    await asyncio.gather(*stalled, return_exceptions=True)


async def test_too_many_that_wait_are_refused_the_longest_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_WAITING", 2)
    reception = seats(1)
    reads = [read(reception, Client()) for _ in range(4)]
    with pytest.raises(Overloaded, match="requests"):
        await reads[1]
    for one in reads:
        one.cancel()
    await asyncio.gather(*reads, return_exceptions=True)


async def test_a_seat_takes_room_for_the_longest_message_twice() -> None:
    limiter = InFlightLimiter(10, 8000)
    reception = Reception(limiter, limit_bytes=1000, timeout_s=60)
    client = Client()
    message = read(reception, client)
    await turns()
    assert limiter.held_bytes == 2000
    client.send()
    assert await message == b"message"
    assert limiter.held_bytes == 0
    with limiter.room(7000), pytest.raises(Overloaded, match="bytes"):
        await read(reception, Client())
    client = Client()
    client.send()
    assert await read(reception, client) == b"message"
