"""How much memory this process takes, and the bound on it."""

import contextlib
import ctypes
import gc
from pathlib import Path

import psutil

from model_server.errors import MemoryShort

_SHARE = 0.8
_CGROUP_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


class Memory:
    """The memory that this process takes, with a bound.

    Parameters
    ----------
    limit_bytes : int
        0 for four fifths of what the container, or else the machine, has.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes or int(_SHARE * _available_bytes())
        self._process = psutil.Process()

    def check(self, more_bytes: int = 0) -> None:
        """See that so much more would be within the bound.

        Raises
        ------
        MemoryShort
        """
        total_bytes = self._process.memory_info().rss + more_bytes
        if total_bytes > self._limit_bytes:
            raise MemoryShort(
                f"the process would take {total_bytes >> 20} MiB, more than --memory-limit-bytes "
                f"({self._limit_bytes >> 20} MiB); unload another model first"
            )

    def release(self) -> None:
        """Give what is not used any more back to the system."""
        gc.collect()
        libc = ctypes.CDLL(None)
        if hasattr(libc, "malloc_trim"):
            libc.malloc_trim(0)


def _available_bytes() -> int:
    limits = [psutil.virtual_memory().total]
    for path in _CGROUP_LIMITS:
        with contextlib.suppress(OSError, ValueError):
            limits.append(int(path.read_text()))
    return int(min(limits))
