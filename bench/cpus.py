"""The CPUs: the servers and the load have one each."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from bench.errors import BenchError


def usable() -> list[int]:
    """Return the CPUs that this process may use.

    Raises
    ------
    BenchError
        If there is one only.
    """
    found = sorted(os.sched_getaffinity(0))
    if len(found) < 2:
        raise BenchError("there is one CPU; the servers and the load need one each")
    return found


@contextmanager
def pinned(cpu: int) -> Iterator[None]:
    """Keep this process, and what it starts in the block, on one CPU."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cpu})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
