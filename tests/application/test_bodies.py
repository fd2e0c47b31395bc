"""What bodies hold, all together, and how long their clients are waited for."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from starlette.applications import Starlette

from application.bodies import BODIES, CLIENTS
from application.settings import Settings
from application.site import create
from tests.application.asgi import Answer, scope, taken_by
from tests.application.stand_in import StandIn

LIMIT = 3200
LEAST = LIMIT // BODIES
FILE = "/models/rooms/file"
FORM = b'--b\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\nRM\n'
DEADLINE_S = 20


@pytest.fixture
def app() -> Starlette:
    return create(
        Settings(upload_limit_bytes=LIMIT, upload_timeout_s=DEADLINE_S, rate_limit=0),
        StandIn().transport(),
    )


@dataclass
class Upload:
    """A file on its way, that goes on as the test says."""

    answered: Awaitable[None]
    sent: asyncio.Queue[dict[str, Any]]
    answer: Answer
    taken: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, part: bytes, *, more: bool = True) -> None:
        """Send a part, and wait until it is taken."""
        self.taken.clear()
        await self.sent.put({"type": "http.request", "body": part, "more_body": more})
        async with asyncio.timeout(DEADLINE_S):
            await self.taken.wait()

    async def finish(self, part: bytes = b"") -> Answer:
        """Send the last part, and take the answer."""
        await self.sent.put({"type": "http.request", "body": part, "more_body": False})
        async with asyncio.timeout(DEADLINE_S):
            await self.answered
        return self.answer


@asynccontextmanager
async def uploading(
    app: Starlette, client: str = "203.0.113.1", content_type: bytes = b"text/csv"
) -> AsyncIterator[Upload]:
    """Begin to send a file; a client that is done with is gone."""
    sent: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    answer = Answer()
    begun = scope("POST", FILE, b"", [(b"content-type", content_type)], client)

    async def receive() -> dict[str, Any]:
        upload.taken.set()
        return await sent.get()

    async def take() -> None:
        await app(begun, receive, taken_by(answer))
        upload.taken.set()

    task = asyncio.ensure_future(take())
    upload = Upload(task, sent, answer)
    try:
        yield upload
    finally:
        sent.put_nowait({"type": "http.disconnect"})
        await asyncio.wait_for(task, DEADLINE_S)


def rows(length: int) -> bytes:
    return b"RM\n" + b"6\n" * ((length - 3) // 2)


@pytest.mark.parametrize("content_type", [b"text/csv", b"multipart/form-data; boundary=b"])
async def test_bodies_of_a_client_are_together_as_long_as_one_may_be(
    app: Starlette, content_type: bytes
) -> None:
    async with uploading(app, content_type=content_type) as first:
        await first.send(FORM)
        await first.send(b"6\n" * (LIMIT // 4))
        async with uploading(app) as second:
            refused = await second.finish(rows(LIMIT - LIMIT // 4))
            assert (refused.status, refused.headers["retry-after"]) == (503, "5")
        async with uploading(app, client="203.0.113.2") as other:
            assert (await other.finish(rows(LIMIT))).status == 200
    async with uploading(app) as third:
        assert (await third.finish(rows(LIMIT))).status == 200


async def test_bodies_of_all_are_together_so_long(app: Starlette) -> None:
    async def hold(n_clients: int) -> None:
        if n_clients == CLIENTS:
            async with uploading(app, client="198.51.100.1") as late:
                assert (await late.finish(b"RM\n6\n")).status == 503
            return
        async with uploading(app, client=f"203.0.113.{n_clients}") as held:
            await held.send(rows(LIMIT))
            await hold(n_clients + 1)

    await hold(0)
    async with uploading(app, client="198.51.100.1") as again:
        assert (await again.finish(b"RM\n6\n")).status == 200


async def test_a_byte_holds_a_part_of_the_room_and_no_byte_none(app: Starlette) -> None:
    async def hold(sent: bytes, n_bodies: int, status: int) -> None:
        if not n_bodies:
            async with uploading(app) as late:
                assert (await late.finish(b"RM\n6\n")).status == status
            return
        async with uploading(app) as held:
            await held.send(sent)
            await hold(sent, n_bodies - 1, status)

    await hold(b"R", BODIES, 503)
    await hold(b"", 2 * BODIES, 200)
    await hold(b"R", BODIES - 1, 200)


async def test_what_is_turned_away_holds_nothing_while_it_is_still_sent(app: Starlette) -> None:
    async with uploading(app) as first:
        await first.send(rows(LIMIT))
        await first.send(b"6\n" * 500)
        assert first.answer.status == 0, "browsers listen when they have sent all"
        async with uploading(app) as second:
            assert (await second.finish(rows(LIMIT))).status == 200
        assert (await first.finish(b"6\n")).status == 413


async def test_a_body_that_takes_too_long_is_told_so() -> None:
    settings = Settings(upload_timeout_s=0.05)
    app = create(settings, StandIn().transport())
    async with uploading(app) as slow:
        await slow.send(b"RM\n")
        async with asyncio.timeout(DEADLINE_S):
            await slow.answered
    assert (slow.answer.status, slow.answer.headers["connection"]) == (408, "close")
    assert b"longer than 0.05 seconds to arrive" in slow.answer.content


async def test_a_client_that_leaves_is_no_error(app: Starlette) -> None:
    async with uploading(app) as gone:
        await gone.send(rows(LIMIT))
    assert gone.answer.status == 0
    async with uploading(app) as next_:
        assert (await next_.finish(rows(LIMIT))).status == 200


async def test_an_answer_that_is_not_taken_is_cut_off() -> None:
    app = create(Settings(upload_limit_bytes=LIMIT, upload_timeout_s=0.05), StandIn().transport())
    begun = scope("POST", FILE, b"", [])
    never = asyncio.Event()
    body = [{"type": "http.request", "body": rows(LIMIT), "more_body": False}]

    async def receive() -> dict[str, Any]:
        if not body:
            await never.wait()
        return body.pop()

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            await never.wait()

    await asyncio.wait_for(app(begun, receive, send), DEADLINE_S)
    async with uploading(app, client="127.0.0.1") as next_:
        assert (await next_.finish(rows(LIMIT))).status == 200
