"""CSV: a line a row, with or without a header line in; a line a prediction, without one, out."""

import codecs
import csv
import io
import re
from typing import Any

import msgspec
import numpy.typing as npt

from model_server.errors import BadRequest
from model_server.formats import media_types, plain_rows
from model_server.model.columns import Columns, Matrix

_LINE_END = re.compile(rb"\r\n|[\r\n]")


class CSVReader:
    """Read a row a line.

    The first line is a header if it holds a feature's name, or nothing that a model of numbers
    only could read.
    """

    def read(self, body: bytes, columns: Columns) -> Matrix:
        """See `Reader.read`."""
        body = body.removeprefix(codecs.BOM_UTF8).rstrip(b"\r\n")
        first, rest = (*_LINE_END.split(body, maxsplit=1), b"")[:2]
        names = _lines(first)[0] if first else []
        order = columns.order(names) if names and columns.is_header(names) else None
        rows = rest if order else body
        X = _plain(rows, columns)
        if X is None:
            return _by_cell(rows, columns, order)
        return X if order is None else X[:, order]


class CSVWriter:
    """Write a prediction a line, in as many columns as it has numbers."""

    media_type = media_types.CSV

    def write(self, y: npt.NDArray[Any]) -> bytes:
        """See `Writer.write`."""
        if plain_rows.are_numbers(y):
            return plain_rows.lines(y)
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(y.reshape(len(y), -1).tolist())
        return text.getvalue().encode()


def _plain(rows: bytes, columns: Columns) -> Matrix | None:
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


def _by_cell(rows: bytes, columns: Columns, order: list[int] | None) -> Matrix:
    order = order or list(range(len(columns.names)))
    return columns.matrix(
        [columns.number(line[place], row, column) for column, place in enumerate(order)]
        if len(line) == len(order)
        else line
        for row, line in enumerate(_lines(rows), start=1)
    )


def _lines(text: bytes) -> list[list[str]]:
    try:
        return list(csv.reader(io.StringIO(text.decode(), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadRequest(f"the body is not CSV in UTF-8: {error}") from None
