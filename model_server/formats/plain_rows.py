"""Rows and predictions as most bodies have them, and the fast way in and out.

Rows are typed as they are parsed. What is no row of the model's types, right or wrong, is left to
whoever looks at it cell by cell.
"""

import functools
import itertools
import re
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
import numpy as np
import numpy.typing as npt
import orjson

from model_server.model.columns import Columns, Instances, Matrix
from model_server.model.manifest import Feature
from model_server.model.outputs import Answers

DECODE_ERRORS = (msgspec.MsgspecError, RecursionError, UnicodeDecodeError)
"""What the decoders raise."""

_TYPES = {"boolean": bool, "integer": int, "number": float}
"""What usual cells of a type are in JSON; texts for all others."""

_NOT_A_NAME = re.compile(r'[\x00-\x1f"\\]')
"""What msgspec takes in no name; objects of such a model are looked at cell by cell."""


class PlainRows:
    """The decoders of a model's rows.

    Parameters
    ----------
    columns : Columns

    Attributes
    ----------
    row, table, request : msgspec.json.Decoder
        Of a list in feature order, an object by plain names, or the value of the only feature; of
        ``[row, ...]``; of ``{"instances": [row, ...]}``.
    """

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        types = [_type(feature) for feature in columns.features]
        row: Any = tuple[tuple(types)]  # type: ignore[misc]
        if not any(map(_NOT_A_NAME.search, columns.names)):
            row |= _by_name(columns, types)
        if len(types) == 1 and columns.features[0].type != "vector":
            row |= types[0]
        request = msgspec.defstruct("Request", [("instances", list[row])])
        self.row: msgspec.json.Decoder[Any] = msgspec.json.Decoder(row)
        self.table: msgspec.json.Decoder[Any] = msgspec.json.Decoder(list[row])
        self.request: msgspec.json.Decoder[Any] = msgspec.json.Decoder(request)

    def read(self, rows: bytes) -> Instances | None:
        """Read rows parted by commas, or return None where they are not plain."""
        try:
            return self.joined(self.table.decode(b"[" + rows + b"]"))
        except DECODE_ERRORS:
            return None

    def joined(self, rows: list[Any]) -> Instances | None:
        """Return decoded rows as one array, or None where a cell is none of its feature's."""
        if not self._columns.only_numbers or not self._columns.complete:
            return self._columns.read_values(list(itertools.chain.from_iterable(map(_cells, rows))))
        shape = len(rows), len(self._columns.names)
        try:
            return _matrix(itertools.chain.from_iterable(rows), *shape)
        except TypeError:  # objects are among them
            return _matrix(itertools.chain.from_iterable(map(_cells, rows)), *shape)


@functools.lru_cache(maxsize=128)
def of(columns: Columns) -> PlainRows:
    """Return the decoders of a model's rows, which are made once."""
    return PlainRows(columns)


def _type(feature: Feature) -> Any:
    if feature.type == "vector":
        exactly = msgspec.Meta(min_length=feature.length, max_length=feature.length)
        return Annotated[list[float], exactly]
    kind = _TYPES.get(feature.type, str)
    return kind | None if feature.missing else kind


def _by_name(columns: Columns, types: Sequence[Any]) -> type[msgspec.Struct]:
    return msgspec.defstruct(
        "ByName",
        [
            (f"feature_{place}", type_, msgspec.field(name=name))
            for place, (name, type_) in enumerate(zip(columns.names, types, strict=True))
        ],
        forbid_unknown_fields=not columns.ignores_surplus,
    )


def _matrix(cells: Any, n_rows: int, n_features: int) -> Matrix:
    return np.fromiter(cells, np.float64, n_rows * n_features).reshape(n_rows, n_features)


def _cells(row: Any) -> tuple[Any, ...]:
    if isinstance(row, tuple):
        return row
    return msgspec.structs.astuple(row) if isinstance(row, msgspec.Struct) else (row,)


def are_numbers(y: npt.NDArray[Any]) -> bool:
    """Tell whether predictions are one number each."""
    return y.ndim == 1 and y.dtype.kind in "fi"


def lines(y: npt.NDArray[Any]) -> bytes:
    """Write such predictions, one a line."""
    return dumps(np.ascontiguousarray(y))[1:-1].replace(b",", b"\n") + b"\n"


def values(answers: Answers) -> Any:
    """Return a value a row as `dumps` takes them: one output's, or an object of several.

    Numbers are as they were, without an object for each.
    """
    if len(answers) == 1:
        [y] = answers.values()
        return np.ascontiguousarray(y) if y.dtype.kind in "fi" else y.tolist()
    rows = zip(*(y.tolist() for y in answers.values()), strict=True)
    return [dict(zip(answers, row, strict=True)) for row in rows]


dumps = functools.partial(orjson.dumps, option=orjson.OPT_SERIALIZE_NUMPY)
