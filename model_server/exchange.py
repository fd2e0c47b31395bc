"""Put a new directory in the place of another, in one step where the system has one."""

import ctypes
import errno
import os
from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True)
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_UNSUPPORTED = {errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP}


def put(new: Path, place: Path, old: Path) -> None:
    """Move `new` to `place`; what was there goes to `old`, or to `new` where the two change places.

    Linux exchanges the two at once on its own filesystems. Elsewhere there is a moment in which
    `place` is missing; what was there stays in `old` if the process ends or fails just then.
    """
    try:
        _exchange(new, place)
    except FileNotFoundError:
        new.rename(place)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        if place.exists():
            place.rename(old)
        new.rename(place)


def _exchange(new: Path, place: Path) -> None:
    """Call renameat2(2), which the C libraries of Linux have and others have not."""
    if not hasattr(_LIBC, "renameat2"):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    names = os.fsencode(new), os.fsencode(place)
    if _LIBC.renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(new), None, str(place))
