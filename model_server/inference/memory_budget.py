"""The memory that is left to requests, measured again and again beside what they take."""

import asyncio
import logging
from time import monotonic

from model_server import memory
from model_server.inference.in_flight import InFlightLimiter
from model_server.model.cells.cells import MEMORY_FACTOR

log = logging.getLogger("model_server")

_PAUSE_S = 1.0
_MEASURED = 100
"""How many times longer than a measurement the pause after it is, at least."""

_GROWN_BYTES = 16 * 1024**2
"""So much growth is looked at for what is free, as small pieces of the heap may be."""


class MemoryBudget:
    """Sets the limit on requests' memory to what models and program leave.

    Parameters
    ----------
    limiter : InFlightLimiter
    n_workers : int, optional
        How many processes serve, each with its share.
    """

    def __init__(self, limiter: InFlightLimiter, n_workers: int = 1) -> None:
        self._limiter = limiter
        self._n_workers = n_workers
        self._own_bytes = 0

    async def measure(self) -> None:
        """Leave to requests what there is beside models and program, which may have grown."""
        held_bytes = self._limiter.held_bytes
        own_bytes = await asyncio.to_thread(self._taken_bytes) - held_bytes
        if self._own_bytes and own_bytes > self._own_bytes + _GROWN_BYTES:
            await asyncio.to_thread(memory.trim)
            own_bytes = await asyncio.to_thread(self._taken_bytes) - held_bytes
        if held_bytes or self._limiter.held_bytes:  # not all of it may be taken yet
            own_bytes = max(own_bytes, self._own_bytes)
        self._own_bytes = own_bytes
        self._limiter.bytes_limit = memory.left_bytes(own_bytes, self._n_workers)

    def _taken_bytes(self) -> int:
        if self._n_workers == 1:
            return memory.taken_bytes()
        return memory.share_bytes(self._n_workers)

    async def watch(self) -> None:
        """Measure, for ever, for a small part of the time."""
        while True:
            begun_s = monotonic()
            await self.measure()
            await asyncio.sleep(max(_PAUSE_S, _MEASURED * (monotonic() - begun_s)))


def warn_if_short(limit_bytes: int, longest_bytes: int) -> None:
    """Warn where a limit is not enough for one body of the longest that may be sent."""
    most_bytes = (1 + MEMORY_FACTOR) * longest_bytes
    if limit_bytes < most_bytes:
        log.warning(
            "all requests may take %d MiB of memory, one as long as --body-limit-bytes up to %d: "
            "those longer than %d bytes are refused; give the server more memory, or set a lower "
            "--body-limit-bytes",
            *(limit_bytes >> 20, most_bytes >> 20, limit_bytes // (1 + MEMORY_FACTOR)),
        )
