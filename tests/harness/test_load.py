"""A load at a rate."""

import asyncio
import time

from harness.http_client import get
from harness.load import Load
from harness.ports import HOST

ANSWER_S = 0.5
ANSWERS = (
    b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
    b"HTTP/1.1 503 Busy\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n",
    b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n",
    b"",
)


async def test_requests_are_sent_at_their_time_however_slow_the_answers_are() -> None:
    arrived: list[float] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        arrived.append(time.perf_counter())
        number = len(arrived)
        await asyncio.sleep(ANSWER_S)
        writer.write(ANSWERS[number % len(ANSWERS)])
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(answer, HOST, 0) as server:
        load = Load(server.sockets[0].getsockname()[1], get("/"))
        await load.offer(rate=40, seconds=0.5)
        load.close()
    assert load.sent == len(arrived) == 20
    assert arrived[-1] - arrived[0] < 2 * ANSWER_S, "none waited for an answer"
    assert (len(load.latencies_s), load.rejected, len(load.wrong)) == (5, 5, 10)
    assert min(load.latencies_s) >= ANSWER_S
