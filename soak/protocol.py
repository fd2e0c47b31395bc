"""Protocol: odd but legal uses of HTTP/1.1, and some that are not, each with its right answers.

Each is sent on a connection of its own, cut into two at a random place, with the client's half
closed behind it; then the connection has to end.
"""

import asyncio
import random
import re
from pathlib import Path

from harness.ports import HOST
from harness.processes import ServerProcess, serve
from soak.scenario import Outcome, some

_CONNECTIONS = 8
_END_S = 20.0
_BODY = b'{"instances": [[6.5]]}'
_CHUNKS = b"16\r\n" + _BODY + b"\r\n0\r\n\r\n"
_LINES = "content-type: application/json\n"
_LENGTH, _CHUNKED = "content-length: 22\n", "transfer-encoding: chunked\n"
_OFFER = "connection: Upgrade, HTTP2-Settings\nupgrade: h2c\nhttp2-settings: AAEAAEAAAAIAAAAB\n"


def _post(lines: str, body: bytes = _BODY, version: str = "1.1") -> bytes:
    head = f"POST /v1/models/rooms:predict HTTP/{version}\nhost: soak\n{_LINES}{lines}\n"
    return head.replace("\n", "\r\n").encode() + body


def _get(head: str = "GET /v1/models HTTP/1.1\nhost: soak\n") -> bytes:
    return f"{head}\n".replace("\n", "\r\n").encode()


_GOOD = _post(_LENGTH)
EXCHANGES: dict[str, tuple[bytes, tuple[int, ...]]] = {
    "h2c offered": (_post(_OFFER + _LENGTH), (200,)),
    "h2c offered, chunks": (_post(_OFFER + _CHUNKED, _CHUNKS), (200,)),
    "h2c offered, and more asked": (_post(_OFFER + _LENGTH) + _GOOD, (200, 200)),
    "ahead": (_GOOD * 3 + _get(), (200, 200, 200, 200)),
    "before garbage": (_GOOD + b"GARBAGE\r\n\r\n", (200, 400)),
    "behind empty lines": (b"\r\n\r\n" + _GOOD + b"\r\n" + _get(), (200, 200)),
    "told to send": (_post("expect: 100-continue\n" + _LENGTH), (200,)),
    "of HTTP/1.0": (_post(_LENGTH, version="1.0"), (200,)),
    "HEAD": (_get().replace(b"GET", b"HEAD") + _get(), (200, 200)),
    "no host": (_get("GET /v1/models HTTP/1.1\n") + _get(), (400, 200)),
    "two hosts": (_get("GET /v1/models HTTP/1.1\nhost: a\nhost: b\n"), (400,)),
    "gzip, chunked": (_post("transfer-encoding: gzip, chunked\n", b""), (501,)),
    "two lengths": (_post(_LENGTH + _CHUNKED, _CHUNKS), (400,)),
    "CONNECT": (_get("CONNECT soak:1 HTTP/1.1\nhost: soak\n"), (405,)),
    "HTTP/2": (_get("PRI * HTTP/2.0\n") + b"SM\r\n\r\n", (400,)),
}
"""What is sent, and the statuses of what has to come, without interim ones."""


def run(models: Path, folder: Path, *, exchanges: int = 30_000, seed: int = 16) -> Outcome:
    """Have so many exchanges.

    Parameters
    ----------
    models : Path
        Trained model directories, ``rooms`` among them.
    folder : Path
        For the server's log.
    exchanges : int
    seed : int
        Of which, and where each is cut.
    """
    rng = random.Random(seed)
    kinds = sorted(EXCHANGES)
    names = [kinds[number % len(kinds)] for number in range(exchanges)]
    wrong = asyncio.run(_run(models, folder, names, rng))
    return Outcome(
        asked="offers of HTTP/2, requests ahead and before garbage, heads that are not HTTP/1.1's: "
        "each has the answers that RFC 9110 and 9112 have for it",
        seen=f"{len(names):,} exchanges of {len(kinds)} kinds: {some(wrong)} answered otherwise",
        held=not wrong,
    )


async def _run(models: Path, folder: Path, names: list[str], rng: random.Random) -> list[str]:
    wrong: list[str] = []
    places = asyncio.Semaphore(_CONNECTIONS)

    async def exchange(server: ServerProcess, name: str) -> None:
        sent, expected = EXCHANGES[name]
        cut = rng.randrange(len(sent))
        async with places:
            told = await _exchange(server.http_port, sent[:cut], sent[cut:])
        if told != expected:
            wrong.append(f"{name}, cut at {cut}: {told}")

    async with serve(models, "--no-grpc", log=folder / "log") as server:
        for begin in range(0, len(names), 1000):
            await asyncio.gather(*(exchange(server, name) for name in names[begin : begin + 1000]))
    return wrong


async def _exchange(port: int, *pieces: bytes) -> tuple[int, ...]:
    """Send it, and return the statuses of the answers; 0 at the end where it stays open."""
    told, stays = b"", False
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        async with asyncio.timeout(_END_S):
            for piece in pieces:
                writer.write(piece)
                await asyncio.sleep(0)
            writer.write_eof()
            while received := await reader.read(65_536):
                told += received
    except ConnectionError:
        pass
    except TimeoutError:
        stays = True
    finally:
        writer.transport.abort()
    statuses = map(int, re.findall(rb"HTTP/1\.1 (\d{3}) ", told))
    return (*(status for status in statuses if status >= 200), *((0,) if stays else ()))
