"""A long body is read in blocks: what comes of it is the same, and it takes little memory."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.reading import measured
from bench.reading_cases import CASES
from model_server.errors import BadRequest
from model_server.formats.codec import Reader
from model_server.formats.csv import CSVReader
from model_server.formats.json import JSONReader
from model_server.formats.json_lines import JSONLinesReader
from model_server.formats.rows import at_once
from model_server.formats.tensors import TensorReader
from model_server.model.cells.cells import MEMORY_FACTOR
from model_server.model.columns import Columns
from model_server.model.manifest import Feature
from tests.number_cases import NO_NUMBERS, NUMBERS

TEXTS = ("a", "é,", "", "],[", '"', "x\ny", "{}", "\r")
NUMBERS_ONLY = Columns([Feature(name="RM"), Feature(name="AGE")])
MIXED = Columns([Feature(name="RM"), Feature(name="form", type="category", categories=TEXTS)])
ONE = Columns([Feature(name="RM")])
A_BLOCK_BYTES = 2 * 1024**2
"""More than the objects take that one block is read by, however long the body is."""

READERS: dict[str, Any] = {"JSON": JSONReader, "CSV": CSVReader, "JSON Lines": JSONLinesReader}

FLOATS = st.floats(allow_nan=False, allow_infinity=False).map(repr)
INTEGERS = st.integers(-(10**25), 10**25).map(str)
ODD_JSON = st.sampled_from(
    ["null", "true", "{}", "[]", "[1]", '"six"', '"]}"', "01", "1.", "NaN", "", '"\\u00e9,"']
)
ODD_CSV = st.sampled_from([*NUMBERS, *NO_NUMBERS, "", '"1"', '"1\n"', '"1', '1"', '"a"b', "nan"])


def outcome(reader: Reader, body: bytes, columns: Columns) -> tuple[Any, ...]:
    """Return the matrix, to the last bit, or the error."""
    try:
        X = reader.read(body, columns)
    except BadRequest as error:
        return str(error), error.members
    return X.shape, X.tobytes()


def tables(cell: st.SearchStrategy[str], odd: st.SearchStrategy[str]) -> Any:
    """Return rows of two cells, and seldom others."""
    right = st.lists(st.tuples(cell, cell), max_size=12)
    wrong = st.lists(st.lists(st.one_of(cell, odd), max_size=3), max_size=2)
    return st.tuples(right, wrong, right).map(lambda parts: [*parts[0], *parts[1], *parts[2]])


def json_row(cells: Any, space: str, keys: list[str]) -> str:
    if len(cells) != 2 or not keys:
        return f"[{space}{f',{space}'.join(cells)}]"
    pairs = zip(keys, cells, strict=False)
    return f"{{{','.join(f'{json.dumps(key)}:{cell}' for key, cell in pairs)}}}"


JSON_CELL = st.one_of(FLOATS, INTEGERS, st.sampled_from(TEXTS).map(json.dumps))
KEYS = st.sampled_from([[], [], ["RM", "AGE"], ["AGE", "RM"], ["form", "RM"], ["RM", "RM"]])
SPACE = st.sampled_from(["", "", " ", "\n", " \t\r\n"])
FRAMES = st.sampled_from(
    [
        *("{}", '{{"instances":{}}}', '{{"instances":{}}}', ' {{ "instances" : {} }} '),
        *('{{"x":[1,{{"y":"]"}}],"instances":{}}}', '{{"instances":{},"z":{{"a":[1]}}}}'),
        *('{{"instances":[[1,2]],"instances":{}}}', '{{"instances":{},"instances":[[1,2]]}}'),
        *('{{"inst\\u0061nces":{}}}', '{{"instances":{}', '{{"instances":{}]', "{},", '{{"x":{}}}'),
    ]
)


@st.composite
def json_bodies(draw: Any) -> bytes:
    space, keys = draw(SPACE), draw(KEYS)
    rows = [json_row(cells, space, keys) for cells in draw(tables(JSON_CELL, ODD_JSON))]
    end = draw(st.sampled_from(["]", "]", "]", ",]", "}", ""]))
    text: str = draw(FRAMES).format(f"[{f',{space}'.join(rows)}{end}")
    return text.encode()


@st.composite
def line_bodies(draw: Any) -> bytes:
    keys = draw(KEYS)
    end: str = draw(st.sampled_from(["\n", "\r\n"]))
    rows = [json_row(cells, " ", keys) for cells in draw(tables(JSON_CELL, ODD_JSON))]
    ending: str = draw(st.sampled_from(["", end, end * 3]))
    return (end.join(rows) + ending).encode()


def quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


@st.composite
def csv_bodies(draw: Any) -> bytes:
    cell = st.one_of(FLOATS, INTEGERS, st.sampled_from(TEXTS).map(quoted), st.just("a"))
    end: str = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    header = draw(st.sampled_from([[], ["RM,AGE"], ["form,RM"], ['"RM","form"'], ["x,y"]]))
    rows = [",".join(cells) for cells in draw(tables(cell, ODD_CSV))]
    body: str = draw(st.sampled_from(["", "\ufeff"])) + end.join([*header, *rows])
    ending: bytes = draw(st.sampled_from([b"", end.encode(), b"\n\n", b",\xc3", b"\xff"]))
    return body.encode() + ending


BODIES = {"JSON": json_bodies(), "CSV": csv_bodies(), "JSON Lines": line_bodies()}


@pytest.mark.parametrize("columns", [NUMBERS_ONLY, MIXED])
@pytest.mark.parametrize("name", READERS)
def test_blocks_of_any_length_are_read_as_the_whole_is(name: str, columns: Columns) -> None:
    @settings(deadline=None, max_examples=300, suppress_health_check=list(HealthCheck))
    @given(BODIES[name], st.integers(1, 200))
    def check(body: bytes, block_bytes: int) -> None:
        whole = outcome(READERS[name](10**6), body, columns)
        assert outcome(READERS[name](block_bytes), body, columns) == whole

    check()


@pytest.mark.parametrize(
    "name",
    ['say, "y"', "back\\slash", "line\nbreak", "\0"],
    ids=["quotes", "backslash", "line", "nothing"],
)
@pytest.mark.parametrize("n_rows", [1, 20_000])
def test_a_feature_may_have_any_name(name: str, n_rows: int) -> None:
    columns = Columns([Feature(name=name), Feature(name="AGE")])
    rows = [{name: 1.5, "AGE": 2}] * n_rows
    read = at_once(JSONReader().steps(json.dumps({"instances": rows}).encode(), columns))
    assert read.tolist() == [[1.5, 2.0]] * n_rows


LATE = 20_000


@pytest.mark.parametrize(
    ("name", "right", "wrong", "ending", "words"),
    [
        ("JSON", "[6],", '["x"]', "]", f"row {LATE + 1}, feature 'RM': 'x' is not a number"),
        ("JSON", "[6],", "[[6]]", "]", f"row {LATE + 1}, feature 'RM': [6] is not a number"),
        ("JSON", "[6],", "{}", "]", f"row {LATE + 1}: feature 'RM' is missing"),
        ("JSON", "[6],", "true", "]", f"row {LATE + 1}, feature 'RM': true is not a number"),
        ("JSON", "6,", '"x"', "]", f"row {LATE + 1}, feature 'RM': 'x' is not a number"),
        ("JSON", '{"RM":6},', '{"a":6}', ",[6]]", f"row {LATE + 1}: feature 'RM' is missing"),
        ("JSON", "[6],", '["x"]', ",[6}]", "the body is not JSON: unexpected character"),
        ("JSON", "[6],", "[6],", "]", "the body is not JSON: trailing comma"),
        ("CSV", "6\n", "x\n", "", f"row {LATE + 1}, feature 'RM': 'x' is not a number"),
        ("CSV", '"6"\n', '"\n"\n', "6\n", f"row {LATE + 1}, feature 'RM': is empty"),
        ("CSV", ".5\r", "nan\r", "6\n", f"row {LATE + 1}, feature 'RM': nan is not a finite"),
        ("CSV", "6\r\n", "\r\n", "6\r\n", f"row {LATE + 1}: 1 value expected (RM), 0 given"),
        ("CSV", "6\n", "x\n", '6\n"a"b\n', "the body is not CSV in UTF-8: ',' expected"),
        ("CSV", "6\n", "6\n", '"', "the body is not CSV in UTF-8: unexpected end of data"),
        ("JSON Lines", "[6]\n", "[x]\n", "[6]", f"row {LATE + 1} is not JSON"),
        ("JSON Lines", "[6]\n", '{"RM":""}\n', "[6]", f"row {LATE + 1}, feature 'RM': ''"),
    ],
)
def test_a_late_row_is_told_by_its_number(
    name: str, right: str, wrong: str, ending: str, words: str
) -> None:
    body = ("[" if name == "JSON" else "") + right * LATE + wrong + ending
    with pytest.raises(BadRequest) as refused:
        READERS[name]().read(body.encode(), ONE)
    assert words in str(refused.value)
    if words.startswith("row"):
        assert refused.value.members["row"] == LATE + 1


@pytest.mark.parametrize("name", READERS)
def test_a_row_beyond_any_sense_is_not_taken_apart(name: str) -> None:
    row = b"6," * ONE.row_limit_bytes
    body = {"JSON": b"[[6],[%b6]]", "CSV": b"6\n%b\n6", "JSON Lines": b"[6]\n[%b6]"}[name] % row
    with pytest.raises(BadRequest, match=rf"^row 2 is longer than {ONE.row_limit_bytes} bytes"):
        READERS[name]().read(body, ONE)


def test_the_limit_of_a_row_grows_with_what_it_may_hold() -> None:
    wide = Columns([Feature(name=f"number {place}") for place in range(10_000)])
    row = b",".join([b"-1.2345678901234567e-100"] * 10_000)
    X = JSONReader().read(b"[[" + row + b"],[" + row + b"]]", wide)
    assert X.shape == (2, 10_000)
    header = ",".join(wide.names).encode()
    assert CSVReader().read(b"\n".join([header, row, row]), wide).tobytes() == X.tobytes()


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"x": np.r_[np.ones(LATE), np.nan].reshape(-1, 1)}, f"row {LATE + 1}, feature 'RM': nan"),
        ({"x": np.ones((2, 3))}, "row 1: 1 value expected (RM), 3 given"),
        ({"x": np.array(["six"] * 3, object)}, "a single input holds numbers"),
        ({"x": np.ones((1, 1, 2))}, "row 1, feature 'RM': [1.0, 1.0] is not a number"),
        ({"x": np.ones((0, 1))}, "there are no instances"),
        ({"RM": np.array([6.5] * LATE + ["x"], object)}, f"row {LATE + 1}, feature 'RM': 'x'"),
    ],
)
def test_tensors_are_told_of_by_row(arrays: dict[str, np.ndarray], words: str) -> None:
    with pytest.raises(BadRequest) as refused:
        TensorReader().read(arrays, ONE)
    assert words in str(refused.value)


def test_columns_of_different_lengths_are_refused() -> None:
    arrays = {"RM": np.ones(3), "AGE": np.ones(2)}
    with pytest.raises(BadRequest, match=r"^input 'AGE' has 2 rows, and 'RM' has 3$"):
        TensorReader().read(arrays, NUMBERS_ONLY)


def test_tensors_are_read_in_blocks() -> None:
    numbers = np.arange(40_000.0)
    arrays = {"form": np.array([b"a", "é,".encode()] * 20_000, object), "RM": numbers}
    steps = TensorReader().steps(arrays, MIXED)
    next(steps)
    X = at_once(steps)
    assert MIXED.written(X) == [*zip(numbers, ["a", "é,"] * 20_000, strict=True)]


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_reading_takes_little_memory(name: str) -> None:
    costs = measured(name)
    assert costs["peak_bytes"] <= MEMORY_FACTOR * costs["length_bytes"] + A_BLOCK_BYTES, costs
