"""JSON as MLflow's scoring server reads it: rows under one of four names.

``instances``, ``dataframe_records``, ``dataframe_split`` with the columns' names once, or
``inputs``: rows, or a list for each column.

Source: MLflow's "Local Inference Server Spec".
"""

import functools
from collections.abc import Generator, Sequence

import msgspec

from model_server.errors import BadRequest
from model_server.formats import json_text
from model_server.formats.codec import Steps
from model_server.formats.json import JSONReader
from model_server.formats.plain_rows import DECODE_ERRORS
from model_server.formats.rows import at_once
from model_server.model.columns import Columns, Instances, fields

_NAMES = ("dataframe_split", "dataframe_records", "instances", "inputs")
_UNSET = msgspec.UNSET


class _Split(msgspec.Struct):
    columns: list[str | int]
    data: msgspec.Raw


class _Request(msgspec.Struct):
    dataframe_split: _Split | msgspec.UnsetType = _UNSET
    dataframe_records: msgspec.Raw | msgspec.UnsetType = _UNSET
    instances: msgspec.Raw | msgspec.UnsetType = _UNSET
    inputs: msgspec.Raw | msgspec.UnsetType = _UNSET


_REQUEST = msgspec.json.Decoder(_Request)
_ROWS = msgspec.json.Decoder(list[list[msgspec.Raw]])
_ROWS_AT_A_TIME = 1000
_COLUMNS = msgspec.json.Decoder(dict[str, msgspec.Raw])


class MLflowReader:
    """Read rows under any of the four names, or the list of them alone."""

    def __init__(self) -> None:
        self._rows = JSONReader()

    def read(self, body: bytes, columns: Columns) -> Instances:
        """See `Reader.read`."""
        if _is_v1(body):
            return self._rows.read(body, columns)
        return at_once(self.steps(body, columns))

    def asked(self, body: bytes) -> Sequence[str]:
        """See `JSONReader.asked`."""
        return self._rows.asked(body)

    def steps(self, body: bytes, columns: Columns) -> Steps:
        """See `Reader.steps`."""
        if _is_v1(body):
            return self._rows.steps(body, columns)
        return self._steps(body, columns)

    def _steps(self, body: bytes, columns: Columns) -> Steps:
        request = _decoded(body)
        yield
        if isinstance(request.dataframe_split, _Split):
            X = yield from self._split(request.dataframe_split, columns)
            return X
        [text] = [
            bytes(given)
            for given in (request.dataframe_records, request.instances, request.inputs)
            if isinstance(given, msgspec.Raw)
        ]
        if text.startswith(b"{") and request.inputs is not _UNSET:
            X = yield from self._columns(text, columns)
            return X
        if not text.startswith(b"["):
            raise json_text.no_rows()
        X = yield from self._rows.steps(text, columns)
        return X

    def _split(self, split: _Split, columns: Columns) -> Steps:
        """Read rows whose features stand in an order of their own."""
        text = bytes(split.data)
        if not text.startswith(b"["):
            raise json_text.no_rows()
        names = tuple(map(str, split.columns))
        if names == columns.names:
            X = yield from self._rows.steps(text, columns)
            return X
        order = columns.order(names)
        if len(names) > len(order):
            text = yield from _without_surplus(text, order, len(names))
            X = yield from self._rows.steps(text, columns)
            return X
        given = yield from self._rows.steps(text, _reordered(columns, names))
        X = columns.empty(len(given))
        cells = fields(given)
        for column, place in zip(fields(X), order, strict=True):
            column[...] = cells[place]
        return X

    def _columns(self, text: bytes, columns: Columns) -> Steps:
        """Read an object with the cells of each feature, one after the other."""
        told = _COLUMNS.decode(text)
        columns.order([*told])
        read: dict[str, Instances] = {}
        for feature in columns.features:
            cells = bytes(told[feature.name])
            if feature.length:
                raise BadRequest(
                    f"inputs: {feature.name!r} holds lists; send rows, under dataframe_split",
                    feature=feature.name,
                )
            if not cells.startswith(b"["):
                raise BadRequest(
                    f"inputs: {feature.name!r} is no list of its cells", feature=feature.name
                )
            alone = _reordered(columns, (feature.name,))
            [read[feature.name]] = fields((yield from self._rows.steps(cells, alone)))
        lengths = {len(column) for column in read.values()}
        if len(lengths) > 1:
            raise BadRequest(f"inputs: the columns have {_listed(lengths)} cells")
        X = columns.empty(lengths.pop())
        for name, column in zip(columns.names, fields(X), strict=True):
            column[...] = read[name]
        return X


def _without_surplus(text: bytes, order: list[int], width: int) -> Generator[None, None, bytes]:
    """Return rows with the cells of the features alone, in their order."""
    try:
        rows = _ROWS.decode(text)
    except DECODE_ERRORS as error:
        raise BadRequest(f"dataframe_split: data are lists of {width} cells: {error}") from None
    parts = []
    for row, cells in enumerate(rows, start=1):
        if len(cells) != width:
            told = f"{width} values expected, as there are columns, {len(cells)} given"
            raise BadRequest(f"row {row}: {told}", row=row)
        parts.append(b"[" + b",".join([bytes(cells[place]) for place in order]) + b"]")
        if row % _ROWS_AT_A_TIME == 0:
            yield
    return b"[" + b",".join(parts) + b"]"


def _is_v1(body: bytes) -> bool:
    """Tell whether it may be read as v1 has it, most often at least."""
    return body.startswith((b"[", b'{"instances"'))


def _decoded(body: bytes) -> _Request:
    try:
        request = _REQUEST.decode(body)
    except msgspec.ValidationError as error:
        raise BadRequest(f"not a request for a prediction: {error}") from None
    except DECODE_ERRORS as error:
        raise json_text.not_json(body, error) from None
    given = [name for name in _NAMES if getattr(request, name) is not _UNSET]
    if len(given) != 1:
        told = f"has {' and '.join(given)}" if given else "has none of them"
        raise BadRequest(f"rows come under one of {', '.join(_NAMES)}, and the body {told}")
    return request


@functools.lru_cache(maxsize=64)
def _reordered(columns: Columns, names: tuple[str, ...]) -> Columns:
    by_name = {feature.name: feature for feature in columns.features}
    return Columns([by_name[name] for name in names])


def _listed(lengths: set[int]) -> str:
    return " and ".join(map(str, sorted(lengths)))
