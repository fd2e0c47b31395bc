"""The routes that are answered, as a list: whatever else an application has is not reached."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from starlette.types import ASGIApp, Receive, Scope, Send

from model_server.errors import MethodNotAllowed, NotOffered, RequestError
from model_server.http.error_responses import send_error


@dataclass(frozen=True)
class Route:
    """A method and a path, in which ``{name}`` stands for what a client chooses.

    Such a part has no slash in it; one that ends the path has no colon either, which parts a name
    from a verb.
    """

    method: str
    path: str


class AllowedRoutes:
    """ASGI middleware that answers 404 or 405 to what is not in its list.

    Parameters
    ----------
    app : ASGI application
    routes : iterable of Route
    """

    def __init__(self, app: ASGIApp, routes: Iterable[Route]) -> None:
        self._app = app
        self._methods: dict[re.Pattern[str], list[str]] = {}
        for route in routes:
            self._methods.setdefault(_pattern(route.path), []).append(route.method)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the ASGI specification."""
        if scope["type"] == "http" and (error := self._refusal(scope["method"], scope["path"])):
            await send_error(send, error)
            return
        await self._app(scope, receive, send)

    def _refusal(self, method: str, path: str) -> RequestError | None:
        for pattern, methods in self._methods.items():
            if pattern.fullmatch(path):
                if method in methods:
                    return None
                return MethodNotAllowed(f"Method Not Allowed: {method} {path}", ", ".join(methods))
        return NotOffered(f"Not Found: {method} {path}")


def _pattern(path: str) -> re.Pattern[str]:
    chosen = "[^/:]+" if path.endswith("}") else "[^/]+"
    return re.compile(re.sub(r"\\{\w+\\}", chosen, re.escape(path)))
