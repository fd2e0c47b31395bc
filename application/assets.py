"""The static files, under a path that changes when any of them does, so browsers may keep them."""

import hashlib
from http import HTTPStatus
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

_FOLDER = Path(__file__).parent / "static"


def _release() -> str:
    digest = hashlib.sha256()
    for path in sorted(_FOLDER.iterdir()):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


RELEASE = _release()


class Assets(StaticFiles):
    """Serve ``{release}/{file}``.

    While an older page asks a newer replica, or the other way round, it gets the file as it is
    here, and is told not to keep it.
    """

    def __init__(self) -> None:
        super().__init__(directory=_FOLDER)

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Answer a request for a file."""
        release, _, name = path.partition("/")
        if not name:
            raise HTTPException(HTTPStatus.NOT_FOUND)
        response = await super().get_response(name, scope)
        kept = "max-age=31536000, immutable" if release == RELEASE else "no-cache"
        response.headers["cache-control"] = kept
        return response


def address(name: str) -> str:
    """Return the address of a static file."""
    return f"/static/{RELEASE}/{name}"


def addresses() -> list[str]:
    """Return the addresses of all."""
    return [address(path.name) for path in sorted(_FOLDER.iterdir())]
