"""What OpenAPI tells of a route: its operation, as the route's author writes it down."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from model_server import errors
from model_server.errors import RequestError
from model_server.formats import media_types
from model_server.inference.served import Served

Schema = Mapping[str, Any]
Content = Mapping[str, Mapping[str, Any]]
"""Media types, and of each its schema and perhaps an example."""

_ALWAYS: tuple[type[RequestError], ...] = (
    errors.BadRequest,
    errors.TooSlow,
    errors.TooLarge,
    errors.UnsupportedMedia,
    errors.HeaderTooLarge,
    errors.Unexpected,
    errors.Overloaded,
)
"""What any request may be answered with: its head or its body are none, or there is too much."""


@dataclass(frozen=True)
class Exchange:
    """What is taken and given.

    Attributes
    ----------
    body : Content, optional
    answer : Content
        Of 200.
    query : dict of str to schema
        The parameters of the query.
    """

    body: Content | None = None
    answer: Content = field(default_factory=dict)
    query: Mapping[str, Schema] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Operation(Exchange):
    """An operation, with what is exchanged whatever the model, if it is one for all.

    Attributes
    ----------
    tag : str
        Under which it is listed.
    summary : str
        In one line.
    of_model : callable, optional
        Where each model has a path of its own: what that takes and gives.
    raises : tuple of type
        What it is answered with beside what any request may be.
    needs_body : bool
        Whether a request without one is wrong.
    is_open : bool
        Whether it needs no token.
    """

    tag: str
    summary: str
    of_model: Callable[[Served], Exchange] | None = None
    raises: tuple[type[RequestError], ...] = ()
    needs_body: bool = True
    is_open: bool = False

    @property
    def statuses(self) -> list[int]:
        """Of the errors that it is answered with."""
        return sorted({error.status for error in (*_ALWAYS, *self.raises)})


def json_object(properties: Mapping[str, Schema], *, optional: tuple[str, ...] = ()) -> Schema:
    """Return the schema of an object that has these members and no others."""
    required = [name for name in properties if name not in optional]
    return {
        "type": "object",
        "properties": dict(properties),
        "required": required,
        "additionalProperties": False,
    }


def json_content(schema: Schema) -> Content:
    """Return the content that is JSON of a schema."""
    return {media_types.JSON: {"schema": schema}}


def array(items: Schema) -> Schema:
    """Return the schema of an array."""
    return {"type": "array", "items": items}


TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
INTEGER: Schema = {"type": "integer"}
BOOLEAN: Schema = {"type": "boolean"}
