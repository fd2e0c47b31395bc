"""A second reading of the bodies that the server reads, by the standard library alone.

Slow and plain: it raises ValueError or the library's own error where a body does not fit.
"""

import codecs
import csv
import io
import json
import math
from typing import Any

from model_server.model.columns import Columns
from model_server.model.manifest import Feature

Rows = list[list[float | str]]


def read_json(body: bytes, columns: Columns) -> Rows:
    """Read ``{"instances": [...]}``, or the list alone."""
    payload = json.loads(body.decode())
    rows: Any = payload.get("instances") if isinstance(payload, dict) else payload
    _require(isinstance(rows, list))
    return _read([_cells(row, columns) for row in rows], columns)


def read_json_lines(body: bytes, columns: Columns) -> Rows:
    """Read an instance a line."""
    lines = body.decode().rstrip("\r\n").split("\n")
    return _read([_cells(json.loads(line), columns) for line in lines], columns)


def read_csv(body: bytes, columns: Columns) -> Rows:
    """Read lines, the first of which is a header where it names a feature or holds no number."""
    text = body.removeprefix(codecs.BOM_UTF8).decode().rstrip("\r\n")
    lines: list[Any] = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    first = lines[0] if lines else []
    named = any(name in first for name in columns.names)
    if named or (first and columns.only_numbers and not any(map(_is_number, first))):
        header = lines.pop(0)
        _require(len(set(header)) == len(header))
        lines = [dict(zip(header, line, strict=True)) for line in lines]
    return _read([_parsed(_cells(line, columns), columns) for line in lines], columns)


def _cells(row: Any, columns: Columns) -> list[Any]:
    _require(isinstance(row, dict | list) and len(row) == len(columns.names))
    if isinstance(row, list):
        return row
    _require(row.keys() == set(columns.names))
    return [row[name] for name in columns.names]


def _read(rows: list[list[Any]], columns: Columns) -> Rows:
    _require(bool(rows))
    return [
        [_cell(cell, feature) for cell, feature in zip(row, columns.features, strict=True)]
        for row in rows
    ]


def _cell(cell: Any, feature: Feature) -> float | str:
    if feature.type == "category":
        _require(isinstance(cell, str) and cell in feature.categories)
        return str(cell)
    _require(type(cell) in {int, float} and math.isfinite(float(cell)))
    return float(cell)


def _parsed(texts: list[str], columns: Columns) -> list[Any]:
    return [
        text if feature.type == "category" or not _is_number(text) else float(text)
        for text, feature in zip(texts, columns.features, strict=True)
    ]


def _is_number(text: str) -> bool:
    """Tell what `float` reads too, written in ASCII between blanks, without underscores."""
    try:
        float(text)
    except ValueError:
        return False
    return text.isascii() and "_" not in text and not set(text) & set("\v\f\x1c\x1d\x1e\x1f")


def _require(condition: bool) -> None:  # noqa: FBT001 - as assert has it
    if not condition:
        raise ValueError
