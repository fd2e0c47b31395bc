"""Files that are read again when they change, such as mounted Secrets."""

import logging
import os
from pathlib import Path

log = logging.getLogger("model_server")


class FileWatch:
    """Tell whether files have changed, and why they can't be used.

    What keeps them from being read may pass without another change, so they are tried again.

    Parameters
    ----------
    paths : Path
    """

    def __init__(self, *paths: Path) -> None:
        self._paths = paths
        self._seen = self._now = self._look()
        self._told: object = None

    def changed(self) -> bool:
        """Tell whether a file has changed since `used`; one that is missing now has not."""
        self._now = self._look()
        return None not in self._now and self._now != self._seen

    def used(self) -> None:
        """Note that what has changed is in use; until then it is tried again and again."""
        self._seen = self._now

    def failed(self, error: Exception) -> None:
        """Tell once why what has changed can't be used."""
        if self._told != (self._now, str(error)):
            self._told = self._now, str(error)
            log.error(str(error))

    def _look(self) -> list[tuple[int, int, int] | None]:
        return [_identity(path) for path in self._paths]


def _identity(path: Path) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - follows the links of a mounted Secret all the same
    except OSError:
        return None
    return found.st_ino, found.st_ctime_ns, found.st_size  # ctime: a mode counts as well
