"""Hypothesis over the readers, beside a second reading by the standard library."""

import csv
import json
import random
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model_server.errors import BadRequest
from model_server.formats.csv import CSVReader
from model_server.formats.json import JSONReader
from model_server.formats.json_lines import JSONLinesReader
from model_server.model.columns import Columns
from model_server.model.manifest import Feature
from soak.fuzzing import reading
from soak.fuzzing.mutation import Mutator

_NUMBERS = Columns([Feature(name="RM"), Feature(name="AGE")])
_MIXED = Columns(
    [Feature(name="RM"), Feature(name="form", type="category", categories=("a", "é,"))]
)
_KEPT = 100


def explore(count: int) -> list[str]:
    """Decode so many bodies; return what came out otherwise than by the second reading."""
    failures: list[str] = []
    trials = [(*way, columns) for way in _WAYS for columns in (_NUMBERS, _MIXED)]
    for bodies, decode, read, columns in trials:
        check = _check(decode, read, columns, failures)
        settings(
            max_examples=count // len(trials),
            database=None,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        )(given(bodies)(check))()
    return failures


def _check(
    decode: Callable[[bytes, Columns], Any],
    read: Callable[[bytes, Columns], reading.Rows],
    columns: Columns,
    failures: list[str],
) -> Callable[[bytes], None]:
    def check(body: bytes) -> None:
        problem = _problem(body, decode, read, columns)
        if problem and len(failures) < _KEPT:
            failures.append(f"{problem}: {body!r:.300}")

    return check


def _problem(
    body: bytes,
    decode: Callable[[bytes, Columns], Any],
    read: Callable[[bytes, Columns], reading.Rows],
    columns: Columns,
) -> str:
    try:
        expected = [*map(tuple, read(body, columns))]
    except (ValueError, OverflowError, RecursionError, csv.Error):
        expected = None
    try:
        X = decode(body, columns)
    except BadRequest as error:
        return "" if expected is None else f"refused ({error})"
    except Exception as error:  # noqa: BLE001 - that there is none is what is tried
        return f"{type(error).__name__}: {error}"
    rows = columns.written(X)
    if expected is None:
        return f"read as {rows}, where the second reading refuses"
    return "" if rows == expected else f"read as {rows}, not {expected}"


_SOUND_JSON = (
    b'{"instances": [[6.5, 1], [-0.0, 1e-5]]}',
    b'{"instances": [{"RM": 6.5, "AGE": 1}]}',
    b"[[6.5, 1], [7, 2e0]]",
    '{"instances": [{"RM": 6.5, "form": "é,"}, [1, "a"]]}'.encode(),
)
_SOUND_LINES = (b"[6.5,1]\n[-0.0,1e-5]\n", '{"RM":6.5,"form":"é,"}\r\n[1,"a"]'.encode())
_SOUND_CSV = (b"RM,AGE\n6.5,1\n", b"6.5,1\r\n-0,1e-5", 'form,RM\n"é,",6.5\na,1\n'.encode())
_FLOATS = st.floats().map(repr)
_INTEGERS = st.integers(-(10**25), 10**25).map(str)
_SPACE = st.sampled_from(["", "", "", " ", "\n", "\t", "\x00"])
_ODD = st.sampled_from(
    [
        *("null", "true", "{}", "[]", "[1]", '"six"', '"a"', '"é,"', '"\\ud800"', '"\\u0061"'),
        *("1e999", "-1e999", "NaN", "Infinity", "nan", "inf", "01", "1.", ".5", "+1", "0x1f"),
        *("1_0", "1e-400", "9" * 400, "٣", "'1'", "", " 1 ", '"1"', "a", "RM", "AGE", "form"),
    ]
)  # fmt: skip
_CELL = st.one_of(_FLOATS, _INTEGERS, _ODD, st.text(max_size=8))
_JSON_CELL = st.one_of(_FLOATS, _INTEGERS, _ODD, st.text(max_size=8).map(json.dumps))


def _rows(cell: st.SearchStrategy[str]) -> st.SearchStrategy[list[list[str]]]:
    row = st.one_of(st.lists(cell, min_size=2, max_size=2), st.lists(cell, max_size=3))
    return st.lists(row, max_size=4)


def _instance(cells: list[str], space: str, keys: list[str]) -> str:
    if not keys:
        return f"[{','.join(cells)}]"
    pairs = zip(keys, cells, strict=False)
    return f"{{{','.join(f'{json.dumps(key)}:{space}{cell}' for key, cell in pairs)}}}"


def _json_text(rows: list[list[str]], space: str, keys: list[str], frame: str) -> bytes:
    instances = f",{space}".join(_instance(cells, space, keys) for cells in rows)
    return frame.replace("...", f"{space}[{instances}]").encode() + space.encode()


def _lines_text(rows: list[list[str]], newline: str, keys: list[str], end: str) -> bytes:
    return (newline.join(_instance(cells, " ", keys) for cells in rows) + end).encode()


def _csv_text(rows: list[list[str]], newline: str, header: str, end: str) -> bytes:
    return (
        newline.join([*([header] if header else []), *map(",".join, rows)]).encode() + end.encode()
    )


def _mutated(*sound: bytes) -> st.SearchStrategy[bytes]:
    return st.integers(0, 2**63).map(lambda seed: Mutator(random.Random(seed), sound).draw())


_KEYS = [[], [], ["RM", "AGE"], ["AGE", "RM"], ["form", "RM"], ["RM", "RM"], ["RM", "x"], ["RM"]]
_FRAME = st.sampled_from(['{"instances":...}', '{"instances":...}', "..."])
_JSON = st.one_of(
    st.builds(_json_text, _rows(_JSON_CELL), _SPACE, st.sampled_from(_KEYS), _FRAME),
    st.builds(_json_text, _rows(_FLOATS), _SPACE, st.sampled_from(_KEYS), _FRAME),
    _mutated(*_SOUND_JSON),
    st.binary(max_size=80),
)
_NEWLINE = st.sampled_from(["\n", "\n", "\r\n", "\r", "\n\n"])
_LINES = st.one_of(
    st.builds(_lines_text, _rows(_JSON_CELL), _NEWLINE, st.sampled_from(_KEYS), _NEWLINE),
    st.builds(_lines_text, _rows(_FLOATS), _NEWLINE, st.sampled_from(_KEYS), _NEWLINE),
    _mutated(*_SOUND_LINES),
    st.binary(max_size=80),
)
_HEADER = st.sampled_from(
    ["", "", "RM,AGE", "AGE,RM", "form,RM", "RM,RM", "RM,x", "x,y", '"RM","AGE"']
)
_CSV = st.one_of(
    st.builds(_csv_text, _rows(_CELL), _NEWLINE, _HEADER, _NEWLINE),
    st.builds(_csv_text, _rows(_FLOATS), _NEWLINE, _HEADER, _NEWLINE),
    _mutated(*_SOUND_CSV),
    st.binary(max_size=80),
)
_WAYS = (
    (_JSON, JSONReader().read, reading.read_json),
    (_LINES, JSONLinesReader().read, reading.read_json_lines),
    (_CSV, CSVReader().read, reading.read_csv),
)
