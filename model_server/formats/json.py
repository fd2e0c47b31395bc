"""JSON: ``{"instances": [...]}`` in, ``{"predictions": [...]}`` out, as KServe's v1 protocol says.

The list of instances alone is read as well.
"""

from typing import Any

import msgspec
import numpy.typing as npt
import orjson

from model_server.errors import BadRequest
from model_server.formats import media_types, plain_rows
from model_server.model.columns import Columns, Matrix


class JSONReader:
    """Read a list of instances, or an object that holds one."""

    def read(self, body: bytes, columns: Columns) -> Matrix:
        """See `Reader.read`.

        Lists of numbers are typed as they are parsed. Whatever else there is, right or wrong, is
        parsed again and looked at cell by cell.
        """
        if columns.only_numbers:
            n_features = len(columns.names)
            try:
                if body.startswith(b"["):
                    rows = plain_rows.table(n_features).decode(body)
                else:
                    rows = plain_rows.request(n_features).decode(body).instances
            except (msgspec.MsgspecError, RecursionError):
                rows = []
            if rows:
                return plain_rows.matrix(rows, n_features)
        return columns.matrix(_instances(body))


class JSONWriter:
    """Write an object with a list of predictions."""

    media_type = media_types.JSON

    def write(self, y: npt.NDArray[Any]) -> bytes:
        """See `Writer.write`."""
        return orjson.dumps({"predictions": y.tolist()})


def _instances(body: bytes) -> list[Any]:
    try:
        payload = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"the body is not JSON: {error}") from None
    if isinstance(payload, list):
        return payload
    if not isinstance(payload, dict) or "instances" not in payload:
        raise BadRequest(
            'the body is not an object with "instances", nor a list of rows: {"instances": [...]}'
        )
    instances = payload["instances"]
    if not isinstance(instances, list):
        raise BadRequest('"instances" is not a list of rows: {"instances": [...]}')
    return instances
