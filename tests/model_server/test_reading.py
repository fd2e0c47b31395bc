"""A long body is read in blocks: what comes of it is the same, and it takes little memory."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.reading import measured
from bench.reading_cases import CASES
from model_server.errors import BadRequest
from model_server.formats import infer_json
from model_server.formats.codec import Reader
from model_server.formats.csv import CSVReader
from model_server.formats.json import JSONReader
from model_server.formats.json_lines import JSONLinesReader
from model_server.formats.rows import at_once
from model_server.formats.tensors import TensorReader
from model_server.model.cells.cells import MEMORY_FACTOR
from model_server.model.columns import Columns
from model_server.model.manifest import Feature
from tests.model_server.infer_requests import CARRIERS, Told
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


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize(
    ("tensor", "words"),
    [
        (
            Told("RM", "FP64", [LATE + 1], [1.0] * LATE + [math.nan]),
            f"row {LATE + 1}, feature 'RM': nan is not a finite number",
        ),
        (Told("input-0", "FP64", [2, 3], [1.0] * 6), "its shape is [2, 3], not [rows, 1]"),
        (Told("input-0", "BYTES", [3, 1], ["six"] * 3), "a matrix holds numbers, not BYTES"),
        (Told("input-0", "FP64", [1, 1, 2], [1.0, 1.0]), "its shape is [1, 1, 2], not [rows, 1]"),
        (Told("input-0", "FP64", [0, 1], []), "there are no instances"),
        (Told("input-0", "FP64", [-1, 1], [1.0]), "its shape [-1, 1] has a negative dimension"),
        (Told("input-0", "FP64", [2, 1], [1.0]), "FP64 of shape [2, 1] has 2"),
        (Told("input-0", "FP64", [1, 1], [1.0, 2.0]), "FP64 of shape [1, 1] has 1"),
        (Told("input-0", "INT64", [2**62, 1], [1]), "shape [4611686018427387904, 1]"),
        (
            Told("RM", "BYTES", [LATE + 1, 1], ["6"] * LATE + ["x"]),
            "row 1, feature 'RM': '6' is not a number",
        ),
        (Told("RM", "BOOL", [1], [True]), "row 1, feature 'RM': true is not a number"),
        (Told("LSTAT", "FP64", [1], [12.5]), "input 'LSTAT' is no feature of the model; send"),
    ],
)
def test_what_a_tensor_holds_is_told(tensor: Told, words: str, carrier: str) -> None:
    with pytest.raises(BadRequest) as refused:
        TensorReader().read(CARRIERS[carrier](tensor), ONE)
    assert words in str(refused.value)


@pytest.mark.parametrize("carrier", CARRIERS)
def test_columns_of_different_lengths_are_refused(carrier: str) -> None:
    request = CARRIERS[carrier](
        Told("RM", "FP64", [3], [1.0] * 3), Told("AGE", "FP64", [2, 1], [1.0] * 2)
    )
    with pytest.raises(BadRequest, match=r"^input 'AGE' has 2 rows, and 'RM' has 3$"):
        TensorReader().read(request, NUMBERS_ONLY)


@pytest.mark.parametrize("carrier", CARRIERS)
def test_each_feature_has_one_tensor(carrier: str) -> None:
    one = Told("RM", "FP64", [1], [6.5])
    for tensors, words in (
        ([one], "input 'AGE' is missing; send 'input-0' of shape [rows, 2], or"),
        ([one, one, one._replace(name="AGE")], "two inputs have the same name"),
        ([one, one._replace(name="B"), one._replace(name="AGE")], "input 'B' is no feature"),
    ):
        with pytest.raises(BadRequest) as refused:
            TensorReader().read(CARRIERS[carrier](*tensors), NUMBERS_ONLY)
        assert words in str(refused.value)


@pytest.mark.parametrize("carrier", CARRIERS)
def test_tensors_are_read_in_blocks(carrier: str) -> None:
    numbers = np.arange(40_000.0).tolist()
    texts = ["a", "é,"] * 20_000
    request = CARRIERS[carrier](
        Told("form", "BYTES", [40_000, 1], texts), Told("RM", "FP64", [40_000], numbers)
    )
    steps = TensorReader().steps(request, MIXED)
    next(steps)
    X = at_once(steps)
    assert MIXED.written(X) == [*zip(numbers, texts, strict=True)]


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("n_rows", [1, 40_000])
def test_a_matrix_is_read_row_by_row(carrier: str, n_rows: int) -> None:
    values = np.random.default_rng(0).random(2 * n_rows).tolist()
    for datatype, sent in (("FP64", values), ("INT64", [*range(2 * n_rows)])):
        request = CARRIERS[carrier](Told("input-0", datatype, [n_rows, 2], sent))
        X = TensorReader().read(request, NUMBERS_ONLY)
        np.testing.assert_array_equal(X, np.reshape(sent, (n_rows, 2)))


@pytest.mark.parametrize(
    ("datatype", "data", "words"),
    [
        ("INT64", "[6.9]", "value 1 is 6.9, not INT64"),
        ("FP64", "[true]", "value 1 is true, not FP64"),
        ("FP64", '["6"]', "value 1 is '6', not FP64"),
        ("FP64", "[[6],[7]]", "2 values given, and FP64 of shape [1, 1] has 1"),
        ("FP64", "[[6,7]]", "row 1 of its data is 2 values, and its shape [1, 1]"),
        ("FP64", "[6,[7]]", "value 2 is [7], not FP64"),
        ("FP64", "[[6],7]", "row 2 of its data is 7, and its shape [1, 1]"),
        ("FP64", "[[[6]]]", "value 1 is [6], not FP64"),
        ("FP64", "6", "its data is no list"),
        ("FP64", "null", "its data is no list"),
        ("FP64", "[1e999]", "a value is beyond any number"),
        ("FP64", "[1%s]" % ("0" * 400), "a value is beyond any number"),
        ("UINT8", "[256]", "a value is beyond UINT8"),
        ("UINT8", "[-1]", "a value is beyond UINT8"),
        ("INT64", "[9223372036854775808]", "a value is beyond INT64"),
        ("BYTES", "[6]", "value 1 is 6, not BYTES"),
        ("BOOL", "[1]", "value 1 is 1, not BOOL"),
        ("BF16", "[1]", "datatype 'BF16' is none of BOOL, UINT8"),
    ],
)
def test_a_value_is_of_its_datatype(datatype: str, data: str, words: str) -> None:
    tensor = f'{{"name":"RM","shape":[1,1],"datatype":"{datatype}","data":{data}}}'
    with pytest.raises(BadRequest) as refused:
        TensorReader().read(infer_json.read(f'{{"inputs":[{tensor}]}}'.encode()), ONE)
    assert f"input 'RM': {words}" in str(refused.value)


@pytest.mark.parametrize(
    ("datatype", "data", "read"),
    [
        ("INT64", "[6.0]", 6.0),
        ("FP32", "[0.1]", float(np.float32(0.1))),
        ("FP16", "[0.1]", float(np.float16(0.1))),
        ("FP64", "[6]", 6.0),
        ("FP64", " [ [ 6 ] ] ", 6.0),
        ("UINT64", "[18446744073709551615]", float(2**64)),
    ],
)
def test_a_value_may_be_written_otherwise(datatype: str, data: str, read: float) -> None:
    tensor = f'{{"name":"RM","shape":[1,1],"datatype":"{datatype}","data":{data}}}'
    X = TensorReader().read(infer_json.read(f'{{"inputs":[{tensor}]}}'.encode()), ONE)
    assert X.tolist() == [[read]]


@pytest.mark.parametrize(
    ("shape", "size", "tail", "words"),
    [
        ([2, 1], 160, b"\0" * 16, "input 'RM': 160 bytes announced, and 16 follow"),
        ([2, 1], 16, b"\0" * 24, "8 bytes follow the JSON that no input announces"),
        ([2, 1], 8, b"\0" * 8, "8 bytes, of 16, given, and FP64 of shape [2, 1] has 2"),
        ([1, 1], 16, b"\0" * 16, "16 bytes, of 8, given, and FP64 of shape [1, 1] has 1"),
        ([1, 1], -1, b"", "$.inputs[0].parameters.binary_data_size"),
        ([1, 1], None, b"", "input 'RM': it has no data"),
    ],
)
def test_sizes_that_lie_are_refused(
    shape: list[int], size: int | None, tail: bytes, words: str
) -> None:
    parameters = {} if size is None else {"parameters": {"binary_data_size": size}}
    told = {"name": "RM", "shape": shape, "datatype": "FP64", **parameters}
    head = json.dumps({"inputs": [told]}).encode()
    with pytest.raises(BadRequest) as refused:
        TensorReader().read(infer_json.read(head + tail, len(head)), ONE)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("tail", "words"),
    [
        (b"\0\0\0\0red", "text 2 has no length in four bytes"),
        (b"\x05\0\0\0red", "text 1 is to have 5 bytes, and 3 follow"),
        (b"\x03\0\0\0red\0\0\0\0", "2 texts given, and BYTES of shape [1, 1] has 1"),
        (b"\x01\0\0\0\xff", "text 1 is not UTF-8"),
        (b"", "0 bytes, of 4, given, and BYTES of shape [1, 1] has 1"),
    ],
)
def test_texts_in_binary_have_their_length(tail: bytes, words: str) -> None:
    told = {"name": "form", "shape": [1, 1], "datatype": "BYTES"}
    head = json.dumps({"inputs": [{**told, "parameters": {"binary_data_size": len(tail)}}]})
    columns = Columns([Feature(name="form", type="text")])
    with pytest.raises(BadRequest) as refused:
        TensorReader().read(infer_json.read(head.encode() + tail, len(head)), columns)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('{"id":5,"inputs":[INPUT]}', "Expected `str | null`, got `int` - at `$.id`"),
        ('{"id":[1],"inputs":[INPUT]}', "at `$.id`"),
        ('{"parameters":[1],"inputs":[INPUT]}', "at `$.parameters`"),
        ('{"parameters":"x","inputs":[INPUT]}', "at `$.parameters`"),
        ('{"inputs":[INPUT],"outputs":[{"name":"o","parameters":["x"]}]}', "`$.outputs[0].param"),
        ('{"inputs":[]}', "at `$.inputs`"),
        ('{"inputs":[{"name":"x"}]}', "missing required field `shape`"),
        ('{"inputs":[{"name":"x","shape":[],"datatype":"FP64","data":[]}]}', ".shape`"),
        ('{"inputs":{}}', "at `$.inputs`"),
        ("[]", "Expected `object`, got `array`"),
        ("", "the body is not JSON"),
        ("\xff", "the body is not JSON"),
        ('{"inputs":', "the body is not JSON"),
    ],
)
def test_what_is_no_request_is_told(body: str, words: str) -> None:
    tensor = '{"name":"RM","shape":[1,1],"datatype":"FP64","data":[6]}'
    text = body.replace("INPUT", tensor).encode("latin-1")
    for json_bytes in (None, len(text)):
        with pytest.raises(BadRequest) as refused:
            infer_json.read(text, json_bytes)
        assert words in str(refused.value)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_reading_takes_little_memory(name: str) -> None:
    costs = measured(name)
    assert costs["peak_bytes"] <= MEMORY_FACTOR * costs["length_bytes"] + A_BLOCK_BYTES, costs
