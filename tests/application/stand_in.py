"""An endpoint that answers as a test tells it, by an injected transport or on a port.

It reads rows and refuses them by the model server's own code.
"""

import contextlib
import csv
import io
import socket
import threading
from collections import deque
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from model_server.errors import BadRequest, RequestError
from model_server.formats.csv import CSVReader
from model_server.http import error_responses
from model_server.model.columns import Columns, fields, misfit
from model_server.model.manifest import Feature

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
ODD_NAMES = ["driver's age", "a: b, feature 'x'", 'say, "y", x']
ODD: dict[str, Any] = {
    **WINE,
    "name": "odd",
    "features": {
        "properties": {
            name: {"title": name, "type": "number", "default": 1.0} for name in ODD_NAMES
        }
    },
}


class StandIn:
    """Serve models of `schemas`; each prediction is the next of `replies`, or else `value`.

    Numbers above `highest` are refused, as by a graph of float32. ``rows`` keeps the rows of every
    prediction that was asked for.
    """

    def __init__(self, value: float | str = 24800.4) -> None:
        self.value = value
        self.schemas = {schema["name"]: schema for schema in (ROOMS, WINE, GRAPE, ODD)}
        self.replies: deque[Response | Exception] = deque()
        self.highest = float("inf")
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
        body = await request.body()
        self.rows.append(list(csv.DictReader(io.StringIO(body.decode()))))
        self.headers.append(dict(request.headers))
        if self.replies:
            reply = self.replies.popleft()
            if isinstance(reply, Exception):
                raise reply
            return reply
        try:
            n_rows = self._read(body, _columns(self.schemas[request.path_params["name"]]))
        except BadRequest as error:
            return _response(error)
        return JSONResponse({"predictions": [self.value] * n_rows})

    def _read(self, body: bytes, columns: Columns) -> int:
        X = CSVReader().read(body, columns)
        for name, feature, cells in zip(columns.names, columns.features, fields(X), strict=True):
            for row in np.flatnonzero(self.highest < cells) if feature.type == "number" else ():
                problem = f"{cells[row]} is above {self.highest:g}, the highest float32 number"
                raise misfit(int(row) + 1, name, problem)
        return len(X)

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


def _columns(schema: dict[str, Any]) -> Columns:
    return Columns(
        [
            Feature(name=name, type=described["type"], categories=tuple(described.get("enum", ())))
            for name, described in schema["features"]["properties"].items()
        ]
    )


def _response(error: RequestError) -> Response:
    headers = {name.decode(): value.decode() for name, value in error.headers}
    return Response(error_responses.body(error), error.status, headers, "application/json")


def refusal(row: int, feature: str, problem: str) -> Response:
    return _response(misfit(row, feature, problem))


def busy(retry_after: str = "0") -> Response:
    return JSONResponse({"error": "too much to do"}, 503, {"retry-after": retry_after})
