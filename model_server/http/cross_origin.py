"""Cross-origin requests: which pages of other origins may ask this server from a browser.

Source: the Fetch Standard, section 3.3 (CORS protocol).
"""

from collections.abc import Awaitable, Collection

from model_server.errors import Forbidden
from model_server.http.messages import Handler, Request, Response

ANY = "*"

_HEADERS = (
    "accept, accept-encoding, authorization, content-encoding, content-type, "
    "inference-header-content-length"
)
_EXPOSED = b"inference-header-content-length, retry-after"
_METHODS = b"DELETE, GET, HEAD, POST"
_REMEMBERED_S = 600


class CrossOrigin:
    """What answers preflights, and marks answers so that a page may read them.

    Parameters
    ----------
    origins : collection of str
        Such as ``https://pages.example``; ``*`` is any.
    """

    def __init__(self, origins: Collection[str]) -> None:
        self._origins = frozenset(origins)

    def before(self, handler: Handler) -> Handler:
        """Return a handler that answers preflights and hands on all else."""

        def handle(request: Request) -> Awaitable[Response]:
            return self._preflight(request) if is_preflight(request) else handler(request)

        return handle

    async def _preflight(self, request: Request) -> Response:
        origin = request.header(b"origin")
        if self._allowed(origin) is None:
            raise Forbidden(f"pages of {origin!r:.80} may not ask; see --cors-origins")
        return Response(
            204,
            [
                (b"access-control-allow-methods", _METHODS),
                (b"access-control-allow-headers", _HEADERS.encode()),
                (b"access-control-max-age", b"%d" % _REMEMBERED_S),
            ],
        )

    def mark(self, request: Request, response: Response) -> None:
        """Let the page that asked read a response, if it may."""
        allowed = self._allowed(request.header(b"origin"))
        if allowed is None:
            return
        response.headers = [
            *response.headers,
            (b"access-control-allow-origin", allowed),
            (b"access-control-expose-headers", _EXPOSED),
            (b"vary", b"origin"),
        ]

    def _allowed(self, origin: str | None) -> bytes | None:
        if origin is None:
            return None
        if ANY in self._origins:
            return ANY.encode()
        return origin.encode() if origin.lower() in self._origins else None


def is_preflight(request: Request) -> bool:
    """Tell whether a browser asks what it may send."""
    if request.method != "OPTIONS":
        return False
    return {b"origin", b"access-control-request-method"} <= request.fields.keys()
