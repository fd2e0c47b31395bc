"""``python -m soak.crowd PORT CONNECTIONS PATIENCE_S``: clients that send a byte a second.

Half of them are slow in the header and half in the body; where the server cuts one off, another
takes its place until standard input ends. A few more read their answer as slowly: that is in the
kernel's hands once the server has written it, so they are counted and nothing is asked of them.

It is a process of its own, so that it does not hold up the clients whose latency is measured. It
prints a line when all are open and, when all were cut off or its patience is over, what became of
them, in JSON.
"""

import asyncio
import json
import socket
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Generator

from harness.http_client import post
from harness.ports import HOST

HEADER, BODY, READER = "header", "body", "answer"

_ENDLESS = f"host: soak\r\ncontent-type: application/json\r\ncontent-length: {10**6}\r\n\r\n"
_BEGINNINGS = {
    HEADER: (b"POST /v1/models/rooms:predict HTTP/1.1\r\nx-slow: ",),
    BODY: (
        f"POST /v1/models/rooms:predict HTTP/1.1\r\n{_ENDLESS}".encode(),
        f"POST /v2/models/rooms/infer HTTP/1.1\r\n{_ENDLESS}".encode(),
    ),
    READER: (post("/v1/models/rooms:predict", b'{"instances": [' + b"[6]," * 4999 + b"[6]]}"),),
}
_READERS_SHARE = 0.02
_GROUPS = 200


class Crowd:
    """Slow clients.

    Parameters
    ----------
    port : int
    connections : int
        How many slow senders are open at a time.

    Attributes
    ----------
    replaces : bool
        Whether another takes the place of one that was cut off.
    lives_s : dict of str to list of float
        How long each lived that was cut off, by its place.
    left : dict of str to int
        How many are open.
    """

    def __init__(self, port: int, connections: int) -> None:
        self.replaces = True
        self._port = port
        readers = max(1, round(connections * _READERS_SHARE))
        self._places = [
            *((HEADER, BODY)[place % 2] for place in range(connections)),
            *([READER] * readers),
        ]
        self.lives_s: defaultdict[str, list[float]] = defaultdict(list)
        self.left: Counter[str] = Counter()

    async def drip(self) -> None:
        """Send a byte of each in turn, every second, until all are cut off; tell when all began."""
        clients = [self._live(number, place) for number, place in enumerate(self._places)]
        try:
            for client in clients:
                next(client)
                await asyncio.sleep(1 / len(clients))
            _tell({"complete": True})
            group = max(1, len(clients) // _GROUPS)
            while self.left[HEADER] or self.left[BODY]:
                begun = time.perf_counter()
                for number, client in enumerate(clients, start=1):
                    next(client)
                    if number % group == 0:
                        due_s = number / len(clients) - (time.perf_counter() - begun)
                        await asyncio.sleep(max(0.0, due_s))
        finally:
            for client in clients:
                client.close()

    def _live(self, number: int, place: str) -> Generator[None, None, None]:
        """Be one client, and after each cut another; every step is a byte."""
        beginnings = _BEGINNINGS[place]
        while self.replaces:
            begun = time.perf_counter()
            with socket.socket() as connection:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                connection.connect((HOST, self._port))
                connection.sendall(beginnings[number // 2 % len(beginnings)])
                connection.settimeout(0)
                self.left[place] += 1
                yield
                while _step(connection, sends=place != READER):
                    yield
                self.left[place] -= 1
            self.lives_s[place].append(time.perf_counter() - begun)
        while True:
            yield


def _step(connection: socket.socket, *, sends: bool) -> bool:
    """Send a byte and read one; return whether the connection is still open."""
    try:
        if sends:
            connection.send(b"1")
        return bool(connection.recv(1))
    except BlockingIOError:
        return True
    except ConnectionError:
        return False


def _tell(line: object) -> None:
    print(json.dumps(line), flush=True)


async def _main(port: int, connections: int, patience_s: float) -> None:
    crowd = Crowd(port, connections)
    dripping = asyncio.create_task(crowd.drip())
    await asyncio.to_thread(sys.stdin.read)
    crowd.replaces = False
    await asyncio.wait([dripping], timeout=patience_s)
    _tell({"lives_s": crowd.lives_s, "left": crowd.left})


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
