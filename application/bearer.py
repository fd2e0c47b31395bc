"""The bearer token for the endpoint, read again when its file changes."""

from collections.abc import Generator
from pathlib import Path

import httpx

from application.errors import Unexpected


class BearerFile(httpx.Auth):
    """Send the first token of a file, as Kubernetes mounts and renews a secret.

    The file is that of the server or one like it: a token a line, and lines that begin with ``#``.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._changed_ns = -1
        self._token = ""

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Add the header."""
        try:
            changed_ns = self._path.stat().st_mtime_ns
            if changed_ns != self._changed_ns:
                self._token = _first(self._path.read_text(encoding="ascii"))
                self._changed_ns = changed_ns
        except (OSError, ValueError) as error:
            raise Unexpected(f"the token can't be read: {error}") from error
        request.headers["authorization"] = f"Bearer {self._token}"
        yield request


def _first(text: str) -> str:
    for line in map(str.strip, text.splitlines()):
        if line and not line.startswith("#"):
            return line
    raise ValueError("its file holds none")
