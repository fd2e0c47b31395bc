"""``python bench/reading_cases.py CASE``: what one long body costs the reader, in a fresh process.

It imports nothing but the server, so that an earlier checkout of that can be measured as well.
"""

import contextlib
import gc
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from model_server import memory
from model_server.errors import BadRequest
from model_server.formats import infer_json
from model_server.formats.codec import Steps
from model_server.formats.csv import CSVReader
from model_server.formats.json import JSONReader
from model_server.formats.json_lines import JSONLinesReader
from model_server.formats.rows import at_once
from model_server.formats.tensors import INPUT, TensorReader
from model_server.model.columns import Columns, Instances
from model_server.model.manifest import Feature

LENGTH_BYTES = 6 * 1024**2 - 200
"""Just within the limit on bodies, as it is by default."""

_RM = Columns([Feature(name="RM")])
_13 = Columns([Feature(name=f"f{place}") for place in range(13)])
_MIXED = Columns(
    [Feature(name="RM"), Feature(name="form", type="category", categories=("a", "a\n", ""))]
)
_CELLS = b",".join(b"%.3f" % (place * 7.123) for place in range(13))
_FORM = Columns([Feature(name="form", type="category", categories=("a", "],["))])
_JSON, _CSV, _LINES = JSONReader(), CSVReader(), JSONLinesReader()
_ONE = b'{"inputs":[{"name":"RM","datatype":"FP64","shape":[1],"data":['


class Case(NamedTuple):
    """A body that is as long as one may be."""

    reader: Any
    columns: Columns
    body: Callable[[], bytes]


def _filled(unit: bytes, head: bytes = b"", tail: bytes = b"", between: bytes = b",") -> bytes:
    count = (LENGTH_BYTES - len(head) - len(tail)) // (len(unit) + len(between))
    return head + between.join([unit] * count) + tail


def _json(
    unit: bytes, head: bytes = b'{"instances":[', tail: bytes = b"]}", columns: Columns = _RM
) -> Case:
    return Case(_JSON, columns, lambda: _filled(unit, head, tail))


def _csv(unit: bytes, head: bytes = b"", tail: bytes = b"", columns: Columns = _RM) -> Case:
    return Case(_CSV, columns, lambda: _filled(unit, head, tail, b""))


def _lines(unit: bytes, tail: bytes = b"", columns: Columns = _RM) -> Case:
    return Case(_LINES, columns, lambda: _filled(unit, tail=tail, between=b"\n"))


class _InferReader:
    """Read a v2 body, of whose end so much is binary."""

    def __init__(self, binary_bytes: int = 0) -> None:
        self._binary_bytes = binary_bytes

    def steps(self, body: bytes, columns: Columns) -> Steps:
        """See `Reader.steps`."""
        json_bytes = len(body) - self._binary_bytes if self._binary_bytes else None
        return TensorReader().steps(infer_json.read(body, json_bytes), columns)

    def read(self, body: bytes, columns: Columns) -> Instances:
        """See `Reader.read`."""
        return at_once(self.steps(body, columns))


def _infer(
    unit: bytes, tail: bytes = b"", columns: Columns = _RM, name: str = INPUT, kind: str = "FP64"
) -> Case:
    """Return a case of a tensor in JSON, whose last value may be another."""

    def body() -> bytes:
        most = LENGTH_BYTES // (len(unit) + 1)
        n_rows = most // len(columns.names) if name == INPUT else most
        shape = [n_rows, len(columns.names) if name == INPUT else 1]
        head = json.dumps({"name": name, "datatype": kind, "shape": shape})[:-1].encode()
        count = n_rows if unit.startswith(b"[") else n_rows * shape[1]
        data = b",".join([unit] * (count - bool(tail)))
        return b'{"inputs":[%b,"data":[%b%b]}]}' % (head, data, tail)

    return Case(_InferReader(), columns, body)


def _binary(columns: Columns, values: npt.NDArray[Any], kind: str) -> Case:
    """Return a case of a matrix behind the JSON."""
    told = {
        "name": INPUT,
        "datatype": kind,
        "shape": values.shape,
        "parameters": {"binary_data_size": values.nbytes},
    }
    head = json.dumps({"inputs": [told]}).encode()
    return Case(_InferReader(values.nbytes), columns, lambda: head + values.tobytes())


CASES = {
    "JSON: [6]": _json(b"[6]"),
    "JSON: rows of 13": _json(b"[" + _CELLS + b"]", columns=_13),
    'JSON: {"RM":6}': _json(b'{"RM":6}'),
    'JSON: [6,"a"]': _json(b'[6,"a"]', columns=_MIXED),
    "JSON: brackets in texts": _json(b'{"RM":6,"form":"],[","form":"a"}', columns=_MIXED),
    "JSON: rows, then another member": _json(b"[6]", tail=b'],"x":1}'),
    "JSON: another member, then rows": _json(b"[6]", b'{"x":1,"instances":['),
    "JSON: a long other member": _json(b"{}", b'{"x":[', b'],"instances":[[6]]}'),
    "JSON: the last cell is a text": _json(b"[6]", tail=b',["x"]]}'),
    "JSON: the last cell is a list": _json(b"[6]", tail=b",[[6]]]}"),
    "JSON: the last bracket is wrong": _json(b"[6]", tail=b",[6}]}"),
    "JSON: never closed": _json(b'{"RM":6}', tail=b""),
    "JSON: {}": _json(b"{}"),
    "JSON: []": _json(b"[]"),
    'JSON: {"a":{}}': _json(b'{"a":{}}'),
    "JSON: numbers for rows": _json(b"6"),
    "JSON: texts for rows": _json('"Ā"'.encode()),
    "JSON: a row of {}": _json(b"{}", b"[[", b"]]"),
    "JSON: a row of 6": _json(b"6", b"[[", b"]]"),
    "JSON: an object of many names": _json(b'"a":{}', b"[{", b"}]"),
    "JSON: an object of one name": _json(b'"RM":6', b"[{", b"}]"),
    "JSON: brackets alone": Case(_JSON, _RM, lambda: b"[" * LENGTH_BYTES),
    "JSON: one number": Case(_JSON, _RM, lambda: b"[[" + b"1" * LENGTH_BYTES + b"]]"),
    "JSON: one fraction": Case(_JSON, _RM, lambda: b"[[0." + b"1" * LENGTH_BYTES + b"]]"),
    "JSON: one text": Case(_JSON, _RM, lambda: _filled(b"\x7f", b'[["', '😀"]]'.encode(), b"")),
    "JSON: blanks": Case(_JSON, _RM, lambda: b"[[6" + b" " * LENGTH_BYTES + b"]]"),
    "CSV: 6": _csv(b"6\n"),
    "CSV: rows of 13": _csv(_CELLS + b"\n", columns=_13),
    'CSV: "6"': _csv(b'"6"\n'),
    "CSV: .5": _csv(b".5\n"),
    "CSV: 6, parted by CR": _csv(b"6\r"),
    'CSV: "6", parted by CR': _csv(b'"6"\r'),
    "CSV: 6,a": _csv(b"6,a\n", columns=_MIXED),
    "CSV: 6 and an empty text": _csv(b"6,\n", columns=_MIXED),
    "CSV: texts of several lines": _csv(b'6,"a\n"\n', b"6,a\n", columns=_MIXED),
    "CSV: empty cells": _csv(b",\n"),
    "CSV: empty lines": _csv(b"\n", b"6", b"6"),
    "CSV: the last cell is a text": _csv(b"6\n", tail=b"x\n"),
    "CSV: .5, the last cell is a text": _csv(b".5\n", tail=b"x\n"),
    "CSV: the last byte is no UTF-8": _csv(b"6,a\n", tail=b"\xff", columns=_MIXED),
    "CSV: a quote at the end": _csv(b"6\n", tail=b'"\n'),
    "CSV: a quote at the beginning": _csv(b"6\n", b'6\n"'),
    "CSV: quotes alone": _csv(b'"'),
    "CSV: a header of many names": _csv(b"RM,"),
    "CSV: a row of many cells": _csv(b"6,", b"6\n"),
    "CSV: a row of many quoted cells": _csv(b'"\nx",', b"6\n"),
    "CSV: one number": _csv(b"1", b"6\n"),
    "CSV: one text": _csv(b"x", b"6\n"),
    "CSV: blanks": _csv(b" ", b"6\n6"),
    "JSON Lines: [6]": _lines(b"[6]"),
    'JSON Lines: {"RM":6}': _lines(b'{"RM":6}'),
    'JSON Lines: [6,"a"]': _lines(b'[6,"a"]', columns=_MIXED),
    "JSON Lines: {}": _lines(b"{}"),
    "JSON Lines: the last line is wrong": _lines(b"[6]", b"\n[x]"),
    "JSON Lines: a line of {}": Case(_LINES, _RM, lambda: _filled(b"{}", b"[", b"]")),
    "JSON Lines: empty lines": Case(_LINES, _RM, lambda: _filled(b"\n", b"[6]", b"[6]", b"")),
    "v2: 6": _infer(b"6"),
    "v2: [6]": _infer(b"[6]"),
    "v2: rows of 13": _infer(b"[" + _CELLS + b"]", columns=_13),
    "v2: the last value is a text": _infer(b"6", b',"x"'),
    "v2: the last value is a list": _infer(b"6", b",[6]"),
    "v2: the last row is a number": _infer(b"[6]", b",6"),
    "v2: {}": _infer(b"{}"),
    'v2: {"a":{}}': _infer(b'{"a":{}}'),
    "v2: []": _infer(b"[]"),
    "v2: null": _infer(b"null"),
    "v2: texts": _infer(b'"a"', columns=_FORM, name="form", kind="BYTES"),
    "v2: texts with brackets": _infer(b'"],["', columns=_FORM, name="form", kind="BYTES"),
    "v2: one number": Case(_InferReader(), _RM, lambda: _filled(b"1", _ONE, b"]}]}", b"")),
    "v2: one text": Case(_InferReader(), _RM, lambda: _filled(b"x", _ONE + b'"', b'"]}]}', b"")),
    "v2: brackets alone": Case(_InferReader(), _RM, lambda: _filled(b"[", _ONE, b"", b"")),
    "binary: a matrix of bytes": _binary(_RM, np.ones((LENGTH_BYTES, 1), "int8"), "INT8"),
    "binary: a matrix of float32": _binary(
        _13, np.ones((LENGTH_BYTES // 52, 13), "float32"), "FP32"
    ),
    "binary: not a number at the end": _binary(
        _RM, np.r_[np.ones(LENGTH_BYTES // 8), np.nan].reshape(-1, 1), "FP64"
    ),
    "binary: a wide row": _binary(_RM, np.ones((1, LENGTH_BYTES), "int8"), "INT8"),
}


def measure(case: Case) -> dict[str, Any]:
    """Read the body once; return the costs, and what came of it."""
    body = case.body()
    with contextlib.suppress(BadRequest):
        case.reader.read(b'"6"\n', case.columns)  # what is made once, and imported late, is there
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # forgets the peak
    before_bytes, cpu_s, longest_s = _status_bytes("VmRSS"), time.thread_time(), 0.0
    begun_s = cpu_s
    answer: Any = None
    try:
        for answer in _steps(case, body):  # noqa: B007 - the last one is told
            now_s = time.thread_time()
            longest_s, begun_s = max(longest_s, now_s - begun_s), now_s
    except BadRequest as error:
        answer = str(error)
        longest_s = max(longest_s, time.thread_time() - begun_s)
    return {
        "cpu_s": time.thread_time() - cpu_s,
        "longest_ms": longest_s * 1000,
        "peak_bytes": _status_bytes("VmHWM") - before_bytes,
        "length_bytes": len(body),
        "answer": answer,
    }


def _steps(case: Case, body: Any) -> Iterator[str]:
    """Yield after each step, and at last the shape of the matrix."""
    if not hasattr(case.reader, "steps"):
        yield str(case.reader.read(body, case.columns).shape)
        return
    steps = case.reader.steps(body, case.columns)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            yield str(end.value.shape)
            return
        yield ""


def _status_bytes(name: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


if __name__ == "__main__":
    memory.return_large_blocks()  # as the server does
    print(json.dumps(measure(CASES[sys.argv[1]])))
