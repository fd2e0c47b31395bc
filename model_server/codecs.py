"""Bodies in and out: one small class a media type, and one dict of them at the end.

``reader`` picks by ``Content-Type``, ``writer`` by ``Accept``; both parse the media type with its
parameters.
"""

import codecs
import contextlib
import csv
import functools
import io
import re
from collections.abc import Iterator
from typing import Any, Protocol

import mimeparse
import msgspec
import numpy.typing as npt
import orjson

from model_server import plain_rows
from model_server.columns import Columns, Matrix
from model_server.errors import BadRequest, NotAcceptable, UnsupportedMedia


class Codec(Protocol):
    """One way to write rows and predictions."""

    media_type: str

    def decode(self, body: bytes, columns: Columns) -> Matrix:
        """Read a request body.

        Returns
        -------
        X : ndarray of shape (n_rows, n_features), float64

        Raises
        ------
        BadRequest
            If the body is not of this type or does not fit the columns.
        """
        ...

    def encode(self, y: npt.NDArray[Any]) -> bytes:
        """Write predictions `y` of shape (n_rows,)."""
        ...


class JSONCodec:
    """``{"instances": [...]}`` in, ``{"predictions": [...]}`` out, as KServe's v1 protocol says.

    The list of instances alone is read as well.
    """

    media_type = "application/json"

    def decode(self, body: bytes, columns: Columns) -> Matrix:
        """See `Codec.decode`.

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
        return columns.matrix(self._instances(body))

    def _instances(self, body: bytes) -> list[Any]:
        try:
            payload = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise BadRequest(f"the body is not JSON: {error}") from None
        if isinstance(payload, list):
            return payload
        if not isinstance(payload, dict) or "instances" not in payload:
            raise BadRequest(
                'the body is not an object with "instances", nor a list of rows: '
                '{"instances": [...]}'
            )
        instances = payload["instances"]
        if not isinstance(instances, list):
            raise BadRequest('"instances" is not a list of rows: {"instances": [...]}')
        return instances

    def encode(self, y: npt.NDArray[Any]) -> bytes:
        """See `Codec.encode`."""
        return orjson.dumps({"predictions": y.tolist()})


class JSONLinesCodec:
    """A JSON value a line: an instance in, a prediction out."""

    media_type = "application/jsonlines"

    def decode(self, body: bytes, columns: Columns) -> Matrix:
        """See `Codec.decode`."""
        body = body.rstrip(b"\r\n")
        lines = body.split(b"\n") if body else []
        if columns.only_numbers and lines:
            read = plain_rows.line(len(columns.names)).decode
            with contextlib.suppress(msgspec.MsgspecError, RecursionError):
                return plain_rows.matrix([read(line) for line in lines], len(columns.names))
        return columns.matrix(self._instances(lines))

    def _instances(self, lines: list[bytes]) -> Iterator[Any]:
        for row, line in enumerate(lines, start=1):
            try:
                yield orjson.loads(line)
            except orjson.JSONDecodeError as error:
                raise BadRequest(f"row {row} is not JSON: {error}") from None

    def encode(self, y: npt.NDArray[Any]) -> bytes:
        """See `Codec.encode`."""
        if y.dtype.kind in "fi":
            return _lines_of_numbers(y)
        return b"".join(orjson.dumps(value) + b"\n" for value in y.tolist())


class CSVCodec:
    """A line a row, with or without a header line in; a line a prediction, without one, out."""

    media_type = "text/csv"

    def decode(self, body: bytes, columns: Columns) -> Matrix:
        """See `Codec.decode`.

        The first line is a header if it holds a feature's name, or nothing that a model of numbers
        only could read.
        """
        body = body.removeprefix(codecs.BOM_UTF8).rstrip(b"\r\n")
        first, rest = (*_LINE_END.split(body, maxsplit=1), b"")[:2]
        names = self._lines(first)[0] if first else []
        order = columns.order(names) if names and columns.is_header(names) else None
        rows = rest if order else body
        X = self._plain(rows, columns)
        if X is None:
            return self._by_cell(rows, columns, order)
        return X if order is None else X[:, order]

    def _plain(self, rows: bytes, columns: Columns) -> Matrix | None:
        """Read rows of plain numbers, which are those of JSON; None where there is aught else."""
        rows = rows.replace(b"\r\n", b"\n")
        if not columns.only_numbers or b"[" in rows or b"]" in rows or b"\r" in rows:
            return None
        try:
            typed = plain_rows.table(len(columns.names)).decode(
                b"[[" + rows.replace(b"\n", b"],[") + b"]]"
            )
        except msgspec.MsgspecError:
            return None
        return plain_rows.matrix(typed, len(columns.names))

    def _by_cell(self, rows: bytes, columns: Columns, order: list[int] | None) -> Matrix:
        order = order or list(range(len(columns.names)))
        return columns.matrix(
            [columns.number(line[place], row, column) for column, place in enumerate(order)]
            if len(line) == len(order)
            else line
            for row, line in enumerate(self._lines(rows), start=1)
        )

    def _lines(self, text: bytes) -> list[list[str]]:
        try:
            return list(csv.reader(io.StringIO(text.decode(), newline=""), strict=True))
        except (UnicodeDecodeError, csv.Error) as error:
            raise BadRequest(f"the body is not CSV in UTF-8: {error}") from None

    def encode(self, y: npt.NDArray[Any]) -> bytes:
        """See `Codec.encode`."""
        if y.dtype.kind in "fi":
            return _lines_of_numbers(y)
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([value] for value in y.tolist())
        return text.getvalue().encode()


_LINE_END = re.compile(rb"\r\n|[\r\n]")


def _lines_of_numbers(y: npt.NDArray[Any]) -> bytes:
    return orjson.dumps(y.tolist())[1:-1].replace(b",", b"\n") + b"\n"


@functools.lru_cache(maxsize=128)
def reader(content_type: str | None) -> Codec:
    """Return the codec that reads bodies of a ``Content-Type``; JSON where there is none.

    Raises
    ------
    UnsupportedMedia
        If there is none for it, or its charset is not UTF-8.
    """
    if content_type is None:
        return CODECS[JSONCodec.media_type]
    try:
        kind, subtype, parameters = mimeparse.parse_mime_type(content_type)
    except mimeparse.MimeTypeParseException:
        kind, subtype, parameters = "", "", {}
    codec = CODECS.get(f"{kind}/{subtype}".lower())
    if codec is None:
        raise UnsupportedMedia(
            f"can't read Content-Type {content_type[:80]!r}; send {' or '.join(CODECS)}"
        )
    charset = parameters.get("charset", "utf-8").strip("'").lower()
    if charset not in {"utf-8", "utf8", "us-ascii"}:
        raise UnsupportedMedia(f"can't read charset {charset[:40]!r}; send UTF-8")
    return codec


@functools.lru_cache(maxsize=128)
def writer(accept: str | None) -> Codec:
    """Return the codec that an ``Accept`` header likes best; JSON where it does not care.

    Raises
    ------
    NotAcceptable
        If it takes none of them.
    """
    try:
        best = mimeparse.best_match(reversed(CODECS), accept or "*/*")
    except mimeparse.MimeTypeParseException:
        best = ""
    if not best:
        raise NotAcceptable(f"can't write Accept {accept!r:.80}; take {' or '.join(CODECS)}")
    return CODECS[best]


CODECS: dict[str, Codec] = {
    codec.media_type: codec for codec in (JSONCodec(), CSVCodec(), JSONLinesCodec())
}
"""The default comes first."""
