"""An endpoint that answers as a test tells it, by an injected transport or on a port."""

import contextlib
import csv
import io
import socket
import threading
from collections import deque
from collections.abc import Iterator
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

ROOMS: dict[str, Any] = {
    "name": "rooms",
    "description": "Median home value from the rooms alone.",
    "features": {
        "properties": {
            "RM": {
                "title": "RM",
                "description": "average number of rooms per dwelling",
                "type": "number",
                "x-unit": "rooms",
                "default": 6.2085,
                "x-minimum": 3.561,
                "x-maximum": 8.78,
            }
        }
    },
    "target": {
        "title": "MEDV",
        "type": "number",
        "x-unit": "USD",
        "default": 21200.0,
        "x-minimum": 5000.0,
        "x-maximum": 50000.0,
        "x-interval": {"coverage": 0.9, "lower": -5900.0, "upper": 5900.0},
    },
}
WINE: dict[str, Any] = {
    "name": "wine",
    "description": "Quality of a wine",
    "features": {
        "properties": {
            "alcohol": {
                "title": "alcohol",
                "type": "number",
                "x-unit": "%",
                "default": 10.4,
                "x-minimum": 8.0,
                "x-maximum": 15.0,
            },
            "sweet": {"title": "sweet", "type": "number", "x-unit": "0 or 1", "default": 0.0},
            "colour": {"title": "colour", "type": "string", "enum": ["red", "white"]},
        }
    },
    "target": {
        "title": "quality",
        "type": "number",
        "default": 6.0,
        "x-minimum": 3.0,
        "x-maximum": 9.0,
        "x-interval": {"coverage": 0.95, "lower": -1.0, "upper": 1.25},
    },
}
GRAPE: dict[str, Any] = {
    **WINE,
    "name": "grape",
    "target": {"title": "grape", "enum": ["merlot", "riesling"]},
}


class StandIn:
    """Serve models of `schemas`; each prediction is the next of `replies`, or else `value`.

    A row with the text `refused` is refused. ``rows`` keeps the rows of every prediction that was
    asked for.
    """

    def __init__(self, value: float | str = 24800.4) -> None:
        self.value = value
        self.schemas = {schema["name"]: schema for schema in (ROOMS, WINE, GRAPE)}
        self.replies: deque[Response | Exception] = deque()
        self.refused = ""
        self.rows: list[list[dict[str, str]]] = []
        self.headers: list[dict[str, str]] = []
        self.app = Starlette(
            routes=[
                Route("/v1/models", self._names),
                Route("/v1/models/{name}/schema", self._schema),
                Route("/v1/models/{name}:predict", self._predict, methods=["POST"]),
            ]
        )

    async def _names(self, _: Request) -> Response:
        return JSONResponse({"models": sorted(self.schemas)})

    async def _schema(self, request: Request) -> Response:
        schema = self.schemas.get(request.path_params["name"])
        return JSONResponse(schema or {"error": "none"}, 200 if schema else 404)

    async def _predict(self, request: Request) -> Response:
        rows = list(csv.DictReader(io.StringIO((await request.body()).decode())))
        self.rows.append(rows)
        self.headers.append(dict(request.headers))
        if self.replies:
            reply = self.replies.popleft()
            if isinstance(reply, Exception):
                raise reply
            return reply
        for number, row in enumerate(rows, start=1):
            if self.refused in row.values():
                return refusal(f"row {number}, feature 'RM': {self.refused} is too many")
        return JSONResponse({"predictions": [self.value] * len(rows)})

    def transport(self) -> httpx.AsyncBaseTransport:
        """Return a transport that asks this and no network."""
        return httpx.ASGITransport(self.app)

    @contextlib.contextmanager
    def listening(self) -> Iterator[str]:
        """Serve on a free port; yield the address."""
        config = uvicorn.Config(self.app, log_config=None, lifespan="off")
        server = uvicorn.Server(config)
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            thread = threading.Thread(target=server.run, args=([listener],))
            thread.start()
            try:
                yield f"http://127.0.0.1:{listener.getsockname()[1]}"
            finally:
                server.should_exit = True
                thread.join()


def refusal(message: str) -> Response:
    return JSONResponse({"error": message}, 400)


def busy(retry_after: str = "0") -> Response:
    return JSONResponse({"error": "too much to do"}, 503, {"retry-after": retry_after})
