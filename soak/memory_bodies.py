"""The worst bodies, for the model ``rooms``: those of the readers, and KServe's own."""

from collections.abc import Callable
from typing import NamedTuple

from bench.reading_cases import CASES, LENGTH_BYTES
from model_server.formats import media_types
from model_server.formats.csv import CSVReader
from model_server.formats.json import JSONReader
from model_server.formats.json_lines import JSONLinesReader

PREDICT = "/v1/models/rooms:predict"
REST = "/v2/models/rooms/infer"
INFER = "/inference.GRPCInferenceService/ModelInfer"

_ROWS = 2_000_000
"""As many as one request may have."""

_MEDIA_TYPES = {
    JSONReader: media_types.JSON,
    CSVReader: media_types.CSV,
    JSONLinesReader: media_types.JSON_LINES,
}


class Body(NamedTuple):
    """A body, and how it is sent."""

    path: str
    content: Callable[[], bytes]
    media_type: str = media_types.JSON
    accept: str = "*/*"
    deaf: bool = False

    def request(self) -> bytes:
        """Write the request."""
        content = self.content()
        head = (
            f"POST {self.path} HTTP/1.1\r\nhost: x\r\ncontent-type: {self.media_type}\r\n"
            f"accept: {self.accept}\r\ncontent-length: {len(content)}\r\n\r\n"
        )
        return head.encode() + content


def _list(unit: bytes, most: int = LENGTH_BYTES) -> bytes:
    return b",".join([unit] * min((LENGTH_BYTES - 200) // (len(unit) + 1), most))


def _tensor(unit: bytes, kind: bytes = b"FP64", most: int = LENGTH_BYTES) -> Body:
    def content() -> bytes:
        data = _list(unit, most)
        shape = (len(data) + 1) // (len(unit) + 1)
        head = b'{"inputs":[{"name":"input-0","shape":[%d,1],"datatype":"%b","data":[' % (
            shape,
            kind,
        )
        return head + data + b"]}]}"

    return Body(REST, content)


def _rest(head: bytes, unit: bytes, tail: bytes) -> Body:
    return Body(REST, lambda: head + _list(unit) + tail)


def _varint(number: int) -> bytes:
    low, rest = number & 127, number >> 7
    return bytes([low | 128]) + _varint(rest) if rest else bytes([low])


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _message(kind: bytes, width: int, contents: bytes, raw: bytes = b"") -> bytes:
    """Write a ModelInferRequest of one tensor, a column, of elements that are so wide."""
    n_rows = len(contents or raw) // width
    shape = _field(3, _varint(n_rows) + b"\x01")
    contents = _field(5, contents) if contents else b""
    tensor = _field(1, b"input-0") + _field(2, kind) + shape + contents
    return _field(1, b"rooms") + _field(5, tensor) + (_field(7, raw) if raw else b"")


_LONG = LENGTH_BYTES - 200

BODIES = {
    name: Body(PREDICT, case.body, _MEDIA_TYPES[type(case.reader)])
    for name, case in CASES.items()
    if type(case.reader) in _MEDIA_TYPES
} | {
    "CSV: as many rows as may be": Body(
        PREDICT, lambda: b"6\n" * _ROWS, media_types.CSV, media_types.CSV
    ),
    "CSV: nobody reads the answers": Body(
        PREDICT, lambda: b"6\n" * (_ROWS // 2), media_types.CSV, deaf=True
    ),
    "v2: 6": _tensor(b"6"),
    "v2: 6, as many rows as may be": _tensor(b"6", most=_ROWS),
    "v2: 300": _tensor(b"300"),
    "v2: 17 digits": _tensor(b"6.1234567890123456"),
    "v2: []": _tensor(b"[]"),
    "v2: {}": _tensor(b"{}"),
    'v2: {"a":{}}': _tensor(b'{"a":{}}'),
    "v2: texts": _tensor('"Ā"'.encode(), b"BYTES"),
    "v2: inputs are {}": _rest(b'{"inputs":[', b"{}", b"]}"),
    "v2: many outputs": _rest(b'{"inputs":[],"outputs":[', b'{"name":""}', b"]}"),
    "v2: a long shape": _rest(
        b'{"inputs":[{"name":"","datatype":"FP64","data":[],"shape":[', b"9", b"]}]}"
    ),
    "v2: wrong parameters": _rest(b'{"inputs":[],"parameters":{', b'"a":{}', b"}}"),
    "v2: one text": Body(REST, lambda: b'{"inputs":"' + b"x" * _LONG + '😀"}'.encode()),
    "gRPC: bytes of FP64": Body(INFER, lambda: _message(b"FP64", 8, b"", b"\0" * (_LONG // 8 * 8))),
    "gRPC: integers of a byte": Body(
        INFER, lambda: _message(b"INT64", 1, _field(3, b"\x06" * _LONG))
    ),
    "gRPC: empty inputs": Body(INFER, lambda: b"\x2a\x00" * (_LONG // 2)),
    "gRPC: a long shape": Body(INFER, lambda: _field(5, _field(3, b"\x06" * _LONG))),
}
