"""Files that are read again when they change, such as mounted Secrets."""

import os
from pathlib import Path


class FileWatch:
    """Tell whether files have changed since they were last asked about.

    Parameters
    ----------
    paths : Path
    """

    def __init__(self, *paths: Path) -> None:
        self._paths = paths
        self._seen = self._look()

    def changed(self) -> bool:
        """Tell whether a file has changed; one that is missing now has not."""
        now = self._look()
        if None in now or now == self._seen:
            return False
        self._seen = now
        return True

    def _look(self) -> list[tuple[int, int, int] | None]:
        return [_identity(path) for path in self._paths]


def _identity(path: Path) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - follows the links of a mounted Secret all the same
    except OSError:
        return None
    return found.st_ino, found.st_ctime_ns, found.st_size  # ctime: a mode counts as well
