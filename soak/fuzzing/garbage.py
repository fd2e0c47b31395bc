"""What is no HTTP at all, or almost: sent raw, each on a connection of its own."""

import asyncio
import collections
import random
import re

from harness.ports import HOST
from soak.fuzzing.mutation import Mutator

_CONNECTIONS = 4
_END_S = 20.0
_CODING = 501
"""What RFC 9112 (6.1) has for a transfer coding that the server does not know."""

_BODY = b'{"instances": [[6.5]]}'
_POST = (
    b"POST /v1/models/rooms:predict HTTP/1.1\r\nhost: soak\r\ncontent-type: application/json\r\n"
)
_LENGTHS = (
    *(b"0", b"1", b"21", b"23", b"-5", b"+22", b"22, 22", b"2_2", b"abc", b"", b" ", b"0x16"),
    *(b"9" * 30, b"22.0", b"1e3", b"\xd9\xa2", b"22\x00"),
)
_CHUNKED = _POST + b"transfer-encoding: chunked\r\n\r\n"
_SOUND = (
    *(_POST + b"content-length: " + length + b"\r\n\r\n" + _BODY for length in _LENGTHS),
    *(_POST + b"content-length: 22\r\n" + line + b"\r\n\r\n" + _BODY for line in (
        b"content-length: 5", b"transfer-encoding: chunked", b"transfer-encoding: gzip",
        b"x: \x00", b"\x00: x", b": x", b"no colon", b" folded: x", b"x: a\rb",
        b"expect: 100-continue",
        b"upgrade: websocket\r\nconnection: upgrade", b"upgrade: h2c\r\nconnection: upgrade",
        b"x: " + b"a" * 70_000, b"\r\n".join(b"x%d: y" % number for number in range(3000)),
    )),
    _CHUNKED + b"16\r\n" + _BODY + b"\r\n0\r\n\r\n",
    _CHUNKED + b"zz\r\n" + _BODY + b"\r\n0\r\n\r\n",
    _CHUNKED + b"fffffffffffffffff\r\n" + _BODY,
    _CHUNKED + b"-1\r\n\r\n",
    _CHUNKED + b"16;" + b"e" * 5000 + b"\r\n" + _BODY + b"\r\n0\r\nx: y\r\n\r\n",
    b"GET / HTTP/0.9\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET  /  HTTP/1.1\r\n\r\n",
    b"GET\r\n\r\n",
    b"\r\n\r\n\r\n",
    b"GET " + b"/a" * 50_000 + b" HTTP/1.1\r\nhost: soak\r\n\r\n",
    b"GET /%zz%00?%ff=\xff HTTP/1.1\r\nhost: soak\r\n\r\n",
    b"GET http://[::1/ HTTP/1.1\r\nhost: soak\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nhost: soak\r\n\r\n",
    b"CONNECT soak:443 HTTP/1.1\r\nhost: soak\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
    _POST + b"content-length: 22\r\n\r\n" + _BODY + _POST + b"content-length: 22\r\n\r\n" + _BODY,
)  # fmt: skip


class Sender:
    """Send bytes, end the sending, and read until the server closes.

    Parameters
    ----------
    port : int
    seed : int

    Attributes
    ----------
    statuses : Counter of int
        Of the last answer to each; 0 where the connection was closed without one.
    failures : list of str
        What was answered with a 5xx, or left a connection open.
    """

    def __init__(self, port: int, seed: int) -> None:
        self._port = port
        self._rng = random.Random(seed)
        self._mutator = Mutator(self._rng, _SOUND)
        self.statuses: collections.Counter[int] = collections.Counter()
        self.failures: list[str] = []

    async def send(self, count: int) -> None:
        """Send so many, on a few connections at once."""
        places = asyncio.Semaphore(_CONNECTIONS)
        async with asyncio.TaskGroup() as tasks:
            for _ in range(count):
                await places.acquire()
                task = tasks.create_task(self._send_one(self._bytes()))
                task.add_done_callback(lambda _: places.release())

    def _bytes(self) -> bytes:
        if self._rng.random() < 0.1:
            return self._rng.randbytes(self._rng.randrange(1, 3000))
        return self._mutator.draw()

    async def _send_one(self, sent: bytes) -> None:
        answer = b""
        reader, writer = await asyncio.open_connection(HOST, self._port)
        try:
            async with asyncio.timeout(_END_S):
                writer.write(sent)
                writer.write_eof()
                while received := await reader.read(65_536):
                    answer += received
        except ConnectionError:
            pass  # closed by the server, which may be before all was sent
        except TimeoutError:
            self.failures.append(f"open after {_END_S} s: {sent[:300]!r}")
        finally:
            writer.transport.abort()
        statuses = [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", answer)]
        self.statuses[statuses[-1] if statuses else 0] += 1
        if any(status >= 500 for status in statuses if status != _CODING):
            self.failures.append(f"{answer[:300]!r}: {sent[:300]!r}")
