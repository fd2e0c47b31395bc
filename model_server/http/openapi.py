"""The OpenAPI document: every route of this server, and for each model what it takes and gives.

Source: the OpenAPI Specification 3.1.
"""

import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from model_server.errors import Unauthorized
from model_server.formats import media_types
from model_server.http.messages import Request, Response
from model_server.http.operation import (
    INTEGER,
    TEXT,
    Exchange,
    Operation,
    json_content,
    json_object,
)
from model_server.http.prediction_schemas import components
from model_server.http.router import Route, json_response
from model_server.inference.served import Served

PATH = "/openapi.json"

_ERROR = json_object({"error": TEXT, "row": INTEGER, "feature": TEXT}, optional=("row", "feature"))
_BEARER = "bearer"
_UNAUTHORIZED = Unauthorized.status


class OpenAPI:
    """What answers the route of the document.

    Parameters
    ----------
    info : mapping of str to str
        The server's title and version.
    routes : iterable of Route
        Those of the server; that of the document comes on top.
    models : mapping of str to Served
        The document tells of those that are served when it is asked for.
    bearer : bool
        Whether a token is needed.
    is_open : bool
        Whether the document itself needs none.
    """

    def __init__(
        self,
        info: Mapping[str, str],
        routes: Iterable[Route],
        models: Mapping[str, Served],
        *,
        bearer: bool,
        is_open: bool,
    ) -> None:
        self._info = dict(info)
        operation = Operation(
            tag="Description",
            summary="This document",
            answer=json_content({"type": "object"}),
            is_open=is_open,
        )
        self._route = Route("GET", PATH, self.tell, operation)
        self._routes = [*routes, self._route]
        self._models = models
        self._bearer = bearer

    def routes(self) -> list[Route]:
        """Return its route."""
        return [self._route]

    async def tell(self, _: Request) -> Response:
        """Return the document."""
        return json_response(self.document())

    def document(self) -> dict[str, Any]:
        """Return what is told of the server as it is now."""
        paths: dict[str, dict[str, Any]] = {}
        for route in self._routes:
            for path, operation in self._operations(route):
                paths.setdefault(path, {})[route.method.lower()] = operation
        schemes = {_BEARER: {"type": "http", "scheme": "bearer"}} if self._bearer else {}
        return {
            "openapi": "3.1.0",
            "info": self._info,
            "paths": paths,
            "components": {
                "schemas": {"Error": _ERROR, **self._schemas()},
                "responses": _error_responses(self._routes),
                "securitySchemes": schemes,
            },
            **({"security": [{_BEARER: []}]} if self._bearer else {}),
        }

    def _schemas(self) -> dict[str, Any]:
        models = self._models.values()
        return {name: told for each in models for name, told in components(each).items()}

    def _operations(self, route: Route) -> Iterable[tuple[str, dict[str, Any]]]:
        """Yield the paths of a route, each with its operation: one a model, where these differ."""
        told = route.operation
        if told.of_model is None:
            yield route.path, self._operation(route, route.path, told)
            return
        for name, model in self._models.items():
            path = route.path.replace("{name}", name)
            path = path.replace("{version}", model.manifest.version)
            yield path, self._operation(route, path, told.of_model(model))

    def _operation(self, route: Route, path: str, exchange: Exchange) -> dict[str, Any]:
        told = route.operation
        statuses = [*told.statuses, *([_UNAUTHORIZED] if self._bearer and not told.is_open else ())]
        responses = {"200": {"description": "OK", "content": dict(exchange.answer)}}
        for status in sorted(statuses):
            responses[str(status)] = {"$ref": f"#/components/responses/{status}"}
        operation: dict[str, Any] = {
            "tags": [told.tag],
            "summary": told.summary,
            "operationId": _identifier(route.method, path),
            "parameters": [*self._of_path(path), *_of_query(exchange)],
            "responses": responses,
        }
        if exchange.body is not None:
            operation["requestBody"] = {"required": told.needs_body, "content": exchange.body}
        if told.is_open and self._bearer:
            operation["security"] = []
        return operation

    def _of_path(self, path: str) -> Iterable[dict[str, Any]]:
        """Yield the parameters of a path."""
        for name in re.findall(r"{(\w+)}", path):
            schema = {**TEXT, "enum": [*self._models]} if name == "name" else TEXT
            yield {"name": name, "in": "path", "required": True, "schema": schema}


def _of_query(exchange: Exchange) -> Iterable[dict[str, Any]]:
    for name, schema in exchange.query.items():
        yield {"name": name, "in": "query", "schema": schema}


def _error_responses(routes: Iterable[Route]) -> dict[str, Any]:
    content = {media_types.JSON: {"schema": {"$ref": "#/components/schemas/Error"}}}
    statuses = {_UNAUTHORIZED, *(status for route in routes for status in route.operation.statuses)}
    return {
        str(status): {"description": HTTPStatus(status).phrase, "content": content}
        for status in sorted(statuses)
    }


def _identifier(method: str, path: str) -> str:
    """Return a name that no other operation has: letters that part words come as their codes."""
    words = re.sub(r"[^\w/:]", lambda found: f"_{ord(found[0]):x}_", re.sub("[{}]", "", path))
    return "_".join([method.lower(), *re.findall(r"\w+", words)])
