"""JSON Lines: a JSON value a line, an instance in and a prediction out."""

import contextlib
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy.typing as npt
import orjson

from model_server.errors import BadRequest
from model_server.formats import media_types, plain_rows
from model_server.model.columns import Columns, Matrix


class JSONLinesReader:
    """Read an instance a line."""

    def read(self, body: bytes, columns: Columns) -> Matrix:
        """See `Reader.read`."""
        body = body.rstrip(b"\r\n")
        lines = body.split(b"\n") if body else []
        if columns.only_numbers and lines:
            decode = plain_rows.line(len(columns.names)).decode
            with contextlib.suppress(msgspec.MsgspecError, RecursionError):
                return plain_rows.matrix([decode(line) for line in lines], len(columns.names))
        return columns.matrix(_instances(lines))


class JSONLinesWriter:
    """Write a prediction a line."""

    media_type = media_types.JSON_LINES

    def write(self, y: npt.NDArray[Any]) -> bytes:
        """See `Writer.write`."""
        if plain_rows.are_numbers(y):
            return plain_rows.lines(y)
        return b"".join(orjson.dumps(value) + b"\n" for value in y.tolist())


def _instances(lines: list[bytes]) -> Iterator[Any]:
    for row, line in enumerate(lines, start=1):
        try:
            yield orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise BadRequest(f"row {row} is not JSON: {error}", row=row) from None
