"""``python -m soak.steady HOST PORT``: a steady load, until standard input ends.

It runs in a pod, where there is nothing but the standard library, `harness.http_client` and this
module. Every failed attempt counts; no request is sent again. Each line of its output is what
became of the requests so far, in JSON.
"""

import asyncio
import json
import sys
import time

from harness.http_client import Answer, Connection, LostError, ask_once, post

_PATH = "/v1/models/rooms:predict"
_BODY = b'{"instances": [[6.5]]}'
_KEPT_ALIVE, _FRESH = 8, 4
_PAUSE_S = 0.02
_EXAMPLES = 5


class Steady:
    """Clients that ask for the same row all the time.

    Parameters
    ----------
    host : str
    port : int
    """

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._over = False
        self._right = b""
        self._answered = 0
        self._failed = 0
        self._failures: list[str] = []
        self._slowest_s = 0.0

    async def run(self) -> None:
        """Ask until standard input ends, and print a line every second."""
        answer = await ask_once(self._host, self._port, post(_PATH, _BODY, close=True))
        self._right = answer.body
        clients = [asyncio.create_task(self._ask(kept=True)) for _ in range(_KEPT_ALIVE)]
        clients += [asyncio.create_task(self._ask(kept=False)) for _ in range(_FRESH)]
        ended = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
        while not ended.done():
            await asyncio.wait([ended], timeout=1)
            self._print()
        self._over = True
        await asyncio.gather(*clients)
        self._print()

    async def _ask(self, *, kept: bool) -> None:
        request = post(_PATH, _BODY, close=not kept)
        while not self._over:
            try:
                connection = await Connection.open(self._host, self._port)
            except OSError as error:
                self._fail(f"no connection: {error}")
                continue
            try:
                while not (await self._ask_on(connection, request)).closes and not self._over:
                    pass
            except LostError as error:
                self._fail(str(error))
            finally:
                connection.close()

    async def _ask_on(self, connection: Connection, request: bytes) -> Answer:
        begun = time.perf_counter()
        answer = await connection.ask(request)
        self._slowest_s = max(self._slowest_s, time.perf_counter() - begun)
        if answer.status != 200 or answer.body != self._right:
            raise LostError(f"status {answer.status}: {answer.body[:100]!r}")
        self._answered += 1
        await asyncio.sleep(_PAUSE_S)
        return answer

    def _fail(self, why: str) -> None:
        self._failed += 1
        if self._failed <= _EXAMPLES:
            self._failures.append(why)

    def _print(self) -> None:
        print(
            json.dumps(
                {
                    "answered": self._answered,
                    "failed": self._failed,
                    "failures": self._failures,
                    "slowest_s": round(self._slowest_s, 3),
                }
            ),
            flush=True,
        )


if __name__ == "__main__":
    asyncio.run(Steady(sys.argv[1], int(sys.argv[2])).run())
