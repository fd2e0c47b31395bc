"""Work of the event loop that is done in slices, so that nobody else waits for long."""

import asyncio
from collections.abc import Generator
from time import perf_counter
from typing import TypeVar

T = TypeVar("T")

_SLICE_S = 0.002
_TURNS_BETWEEN = 4
"""As many as a request of one row takes from the socket to the socket: it waits for one slice."""


class Turns:
    """Turns of the event loop: now and then a slice of one piece of work, whoever else has some.

    So the loop is held up as long by ten pieces as by one, and a short one among them is not last.
    """

    def __init__(self) -> None:
        self._turn = asyncio.Lock()

    async def take(self, steps: Generator[None, None, T]) -> T:
        """Take all the steps, and return what they do; to cancel it leaves the rest untaken."""
        while True:
            async with self._turn:
                end_s = perf_counter() + _SLICE_S
                try:
                    next(steps)
                    while perf_counter() < end_s:
                        next(steps)
                except StopIteration as end:
                    done: T = end.value
                    return done
                for _ in range(_TURNS_BETWEEN):
                    await asyncio.sleep(0)
