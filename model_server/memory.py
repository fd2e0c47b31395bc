"""How much memory there is, what of it this process and its children take, and what is left."""

import contextlib
import ctypes
import gc
import os
from collections.abc import Iterator
from pathlib import Path

import psutil

from model_server.errors import MemoryShort

_SHARE = 0.8
"""Of what there is, so much may be taken by models that are loaded one after the other."""

_RESERVE = 0.125
"""So much is left to what no request is counted with: sockets, heads, what one block is read by."""

_LEAST_BYTES = 1024**2
"""So much is left to requests in any case."""

_MMAP_THRESHOLD, _ARENA_MAX = -3, -8
"""Of glibc's `mallopt`."""

_LARGE_BYTES = 256 * 1024


class Memory:
    """The memory that this process takes, with a bound.

    Parameters
    ----------
    limit_bytes : int
        Beyond which no more models are loaded; 0 for four fifths of what there is.
    """

    def __init__(self, limit_bytes: int = 0) -> None:
        self._limit_bytes = limit_bytes or int(_SHARE * there_is_bytes())

    def check(self, more_bytes: int = 0) -> None:
        """See that so much more would be within the bound.

        Raises
        ------
        MemoryShort
        """
        total_bytes = taken_bytes() + more_bytes
        if total_bytes > self._limit_bytes:
            raise MemoryShort(
                f"the process would take {total_bytes >> 20} MiB, more than --memory-limit-bytes "
                f"({self._limit_bytes >> 20} MiB); unload another model first"
            )

    def release(self) -> None:
        """Give what models took that are unloaded back to the system."""
        gc.collect()
        trim()


def return_large_blocks() -> None:
    """Have large blocks given back to the system as soon as they are free, where glibc allocates.

    By itself it keeps up to 64 MiB for each of many threads, in case that they are asked for again.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_MMAP_THRESHOLD, _LARGE_BYTES)
        libc.mallopt(_ARENA_MAX, 2)


def trim() -> None:
    """Give what is free back to the system, where glibc allocates."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)


def left_bytes(own_bytes: int, n_processes: int = 1) -> int:
    """Return what is left to requests beside so much that the server takes without any.

    Parameters
    ----------
    own_bytes : int
        Of this process.
    n_processes : int, optional
        Which share what there is.
    """
    there_is = int(there_is_bytes() * (1 - _RESERVE)) // n_processes
    return max(there_is - own_bytes, _LEAST_BYTES)


def there_is_bytes(root: Path = Path("/")) -> int:
    """Return the limit of the cgroup, or of one that it is in, or else what the machine has.

    Parameters
    ----------
    root : Path
        Where the system's files are.
    """
    limits = [psutil.virtual_memory().total]
    for path in _limits(root):
        with contextlib.suppress(OSError, ValueError):  # the latter for "max"
            limits.append(int(path.read_text()))
    return int(min(limits))


def taken_bytes(pid: int | None = None) -> int:
    """Return what a process, this one by default, and those that it has started take.

    Of pages that the latter share since a fork, each has its share.
    """
    first, *others = _processes(os.getpid() if pid is None else pid)
    return _resident_bytes(first) + sum(map(_proportional_bytes, others))


def share_bytes(n_workers: int) -> int:
    """Return what this process takes, one of so many that serve, with its share of what all use.

    That is what the process takes that has forked it, and those that it has started beside: they
    are of other process groups.
    """
    group, parent = os.getpgid(0), os.getppid()
    others = [pid for pid in _processes(parent) if pid != parent and _group(pid) != group]
    own_bytes = sum(map(_proportional_bytes, _processes(os.getpid())))
    return own_bytes + sum(map(_proportional_bytes, (parent, *others))) // n_workers


def _group(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return 0


def _limits(root: Path) -> Iterator[Path]:
    """Return where limits may be told: a container sees its own cgroup as the uppermost one."""
    mounts = root / "sys/fs/cgroup"
    with contextlib.suppress(OSError):
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if not controllers:
                mount, file = mounts, "memory.max"
            elif "memory" in controllers.split(","):
                mount, file = mounts / "memory", "memory.limit_in_bytes"
            else:
                continue
            own = mount / path.lstrip("/")
            for folder in (own, *own.parents):
                yield folder / file
                if folder == mount:
                    break


def _processes(pid: int) -> Iterator[int]:
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in children.read_text().split():
                yield from _processes(int(child))


def _proportional_bytes(pid: int) -> int:
    """Return the Pss of proc_pid_smaps(5), or, where the system does not tell it, the RSS."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return _resident_bytes(pid)


def _resident_bytes(pid: int) -> int:
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:  # it has ended
        return 0
