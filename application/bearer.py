"""The bearer token for the endpoint, read again when its file changes."""

from collections.abc import Generator
from pathlib import Path

import httpx

from application.errors import Unexpected


class BearerFile(httpx.Auth):
    """Send the token that a file holds, as Kubernetes mounts and renews a secret.

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
                self._token = self._path.read_text().strip()
                self._changed_ns = changed_ns
        except OSError as error:
            raise Unexpected(f"the token can't be read: {error}") from error
        request.headers["authorization"] = f"Bearer {self._token}"
        yield request
