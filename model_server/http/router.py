"""The routes: each with its method, its path and what answers it. What is none is 404 or 405."""

import functools
import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

import orjson

from model_server.errors import BadRequest, MethodNotAllowed, NotOffered
from model_server.formats import media_types
from model_server.http.messages import Request, Response
from model_server.http.operation import Operation
from model_server.inference.served import Served

Answer = Callable[..., Awaitable[Response]]
"""Takes a request, and what its path has in the place of each name."""

Find = Callable[..., Served]
"""Takes a model's name from a path, and its version where one is asked for."""

_REMEMBERED = 1024
_REMEMBERED_LENGTH = 256
"""How many paths are found without a search, and how long each may be."""

_JSON = [(b"content-type", media_types.JSON.encode())]


@dataclass(frozen=True)
class Route:
    """A method and a path, in which ``{name}`` stands for what a client chooses.

    Such a part has no slash in it; one that ends the path has no colon either, which parts a name
    from a verb. A path that may be read by GET may be read by HEAD.
    """

    method: str
    path: str
    answer: Answer
    operation: Operation

    @property
    def methods(self) -> tuple[str, ...]:
        """Those by which it is asked."""
        return ("GET", "HEAD") if self.method == "GET" else (self.method,)


class Router:
    """Handler that hands each request to the route that it asks for.

    Parameters
    ----------
    routes : iterable of Route
        There are no others.
    """

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes = tuple(routes)
        self._answers: dict[re.Pattern[str], dict[str, Answer]] = {}
        for route in self.routes:
            by_method = self._answers.setdefault(_pattern(route.path), {})
            by_method |= dict.fromkeys(route.methods, route.answer)
        self._remembered = functools.lru_cache(maxsize=_REMEMBERED)(self._found)

    def __call__(self, request: Request) -> Awaitable[Response]:
        """Answer a request.

        Raises
        ------
        RequestError
        """
        find = self._remembered if len(request.path) <= _REMEMBERED_LENGTH else self._found
        answer, chosen = find(request.method, request.path)
        return answer(request, *chosen)

    def _found(self, method: str, path: str) -> tuple[Answer, tuple[str, ...]]:
        for pattern, answers in self._answers.items():
            if (matched := pattern.fullmatch(path)) is not None:
                if method in answers:
                    return answers[method], matched.groups()
                raise MethodNotAllowed(f"Method Not Allowed: {method} {path}", ", ".join(answers))
        raise NotOffered(f"Not Found: {method} {path}")


def json_response(told: Any) -> Response:
    """Return a response of 200 that tells an object."""
    return Response(200, _JSON, orjson.dumps(told))


def json_request(request: Request) -> dict[str, Any]:
    """Return the object that a request tells; an empty one where it has no body.

    Raises
    ------
    BadRequest
    """
    try:
        told = orjson.loads(request.body or b"{}")
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"the body is not JSON: {error}") from None
    if not isinstance(told, dict):
        raise BadRequest("the body is to be an object")
    return told


def _pattern(path: str) -> re.Pattern[str]:
    chosen = "([^/:]+)" if path.endswith("}") else "([^/]+)"
    return re.compile(re.sub(r"\\{\w+\\}", chosen, re.escape(path)), re.DOTALL)
