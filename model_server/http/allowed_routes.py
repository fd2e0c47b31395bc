"""The routes that are answered, as a list: whatever else an application has is not reached."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from model_server.errors import MethodNotAllowed, NotOffered
from model_server.http.messages import Handler, Request, Response


@dataclass(frozen=True)
class Route:
    """A method and a path, in which ``{name}`` stands for what a client chooses.

    Such a part has no slash in it; one that ends the path has no colon either, which parts a name
    from a verb. A path that may be read by GET may be read by HEAD.
    """

    method: str
    path: str


class AllowedRoutes:
    """Handler that answers 404 or 405 to what is not in its list.

    Parameters
    ----------
    handler : handler
        Of what is.
    routes : iterable of Route
    """

    def __init__(self, handler: Handler, routes: Iterable[Route]) -> None:
        self._handler = handler
        self._methods: dict[re.Pattern[str], list[str]] = {}
        for route in routes:
            methods = self._methods.setdefault(_pattern(route.path), [])
            methods += ("GET", "HEAD") if route.method == "GET" else (route.method,)

    async def __call__(self, request: Request) -> Response:
        """Answer a request.

        Raises
        ------
        RequestError
        """
        method, path = request.method, request.path
        for pattern, methods in self._methods.items():
            if pattern.fullmatch(path):
                if method in methods:
                    return await self._handler(request)
                raise MethodNotAllowed(f"Method Not Allowed: {method} {path}", ", ".join(methods))
        raise NotOffered(f"Not Found: {method} {path}")


def _pattern(path: str) -> re.Pattern[str]:
    chosen = "[^/:]+" if path.endswith("}") else "[^/]+"
    return re.compile(re.sub(r"\\{\w+\\}", chosen, re.escape(path)))
