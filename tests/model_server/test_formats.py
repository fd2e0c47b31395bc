import numpy as np
import pytest

from model_server.errors import BadRequest, NotAcceptable, UnsupportedMedia
from model_server.formats import media_types, negotiation
from model_server.formats.negotiation import READERS, WRITERS
from model_server.model.columns import Columns
from model_server.model.manifest import Feature

A, B = Feature(name="a"), Feature(name="b")
COLOUR = Feature(name="colour", type="category", categories=("blue", "red"))
TWO: list[list[float | str]] = [[1, "red"], [2, "blue"]]
NUMBERS, MIXED, ONE = Columns([A, B]), Columns([A, COLOUR]), Columns([A])
JSON, CSV, LINES = media_types.JSON, media_types.CSV, media_types.JSON_LINES


@pytest.mark.parametrize(
    ("media_type", "columns", "body", "expected"),
    [
        (JSON, NUMBERS, b'{"instances": [[1, 2.5]]}', [[1, 2.5]]),
        (JSON, NUMBERS, b'{"instances": [{"b": 2, "a": 1}, [3, 4]], "x": 0}', [[1, 2], [3, 4]]),
        (
            JSON,
            MIXED,
            b'{"instances": [[1, "red"], {"colour": "blue", "a": 2}]}',
            [[1, "red"], [2, "blue"]],
        ),
        (JSON, NUMBERS, b"[[1, 2.5], [3, 4]]", [[1, 2.5], [3, 4]]),
        (JSON, MIXED, b' [[1, "red"], {"colour": "blue", "a": 2}]', TWO),
        (LINES, NUMBERS, b"[1, 2.5]\n[3, 4]\n", [[1, 2.5], [3, 4]]),
        (LINES, NUMBERS, b'{"b": 2, "a": 1}\r\n[3, 4]\r\n', [[1, 2], [3, 4]]),
        (LINES, MIXED, b'[1, "red"]', [[1, "red"]]),
        (CSV, NUMBERS, b"1,2.5\n", [[1, 2.5]]),
        (CSV, NUMBERS, b"a,b\n1,2\n3,4", [[1, 2], [3, 4]]),
        (CSV, NUMBERS, b"b,a\r\n1,2\r\n\r\n", [[2, 1]]),
        (CSV, NUMBERS, b'\xef\xbb\xbf"b","a"\n"1", 2e3\n', [[2000, 1]]),
        (CSV, MIXED, b"1,red\n", [[1, "red"]]),
        (CSV, MIXED, b"colour,a\nblue,2\n", [[2, "blue"]]),
        (CSV, ONE, b"6.5\n7\n", [[6.5], [7]]),
        (CSV, ONE, b"a\n6.5\n", [[6.5]]),
        (CSV, Columns([Feature(name="2"), B]), b"2,b\n6.5,7\n", [[6.5, 7]]),
        (CSV, Columns([Feature(name="2"), Feature(name="1")]), b"1,2\n6.5,7\n", [[7, 6.5]]),
    ],
)
def test_decode(
    media_type: str, columns: Columns, body: bytes, expected: list[list[float | str]]
) -> None:
    X = READERS[media_type].read(body, columns)
    assert (X.dtype == np.float64) is columns.only_numbers
    assert columns.written(X) == [*map(tuple, expected)]


@pytest.mark.parametrize(
    ("media_type", "columns", "body", "words"),
    [
        (JSON, NUMBERS, b"", "the body is not JSON"),
        (JSON, NUMBERS, b"{", "the body is not JSON: unexpected end of data: line 1 column 2"),
        (JSON, NUMBERS, b'{"instances": [[1, NaN]]}', "the body is not JSON"),
        (JSON, NUMBERS, b"\xff", "the body is not JSON"),
        (JSON, NUMBERS, b"7", 'not an object with "instances", nor a list of rows'),
        (JSON, NUMBERS, b"[]", "there are no instances"),
        (JSON, NUMBERS, b"[1, 2]", "row 1: an instance is a list of 2 values or"),
        (JSON, NUMBERS, b'[[1, "2"]]', "row 1, feature 'b': '2' is not a number"),
        (LINES, NUMBERS, b"", "there are no instances"),
        (LINES, NUMBERS, b"\n", "there are no instances"),
        (LINES, NUMBERS, b"[1, 2]\n\n[3, 4]", "row 2 is not JSON"),
        (LINES, NUMBERS, b"[1, 2] [3, 4]", "row 1 is not JSON"),
        (LINES, NUMBERS, b"[1, 2]\n[3,\n4]", "row 2 is not JSON"),
        (LINES, NUMBERS, b"[1, 2]\n[3, null]", "row 2, feature 'b': null is not a number"),
        (LINES, NUMBERS, b"1, 2", "row 1 is not JSON"),
        (JSON, NUMBERS, b'{"rows": []}', 'not an object with "instances"'),
        (JSON, NUMBERS, b'{"instances": 1}', '"instances" is not a list of rows'),
        (JSON, NUMBERS, b'{"instances": []}', "there are no instances"),
        (JSON, NUMBERS, b'{"instances": [1, 2]}', "row 1: an instance is a list of 2 values or"),
        (
            JSON,
            NUMBERS,
            b'{"instances": [[1, 2], [1]]}',
            "row 2: 2 values expected (a, b), 1 given",
        ),
        (JSON, NUMBERS, b'{"instances": [[1, [2]]]}', "row 1, feature 'b': [2] is not a number"),
        (JSON, NUMBERS, b'{"instances": [[1, "2"]]}', "row 1, feature 'b': '2' is not a number"),
        (JSON, NUMBERS, b'{"instances": [[1, null]]}', "feature 'b': null is not a number"),
        (JSON, NUMBERS, b'{"instances": [[true, 1]]}', "feature 'a': true is not a number"),
        (JSON, NUMBERS, b'{"instances": [{"a": 1}]}', "row 1: feature 'b' is missing"),
        (JSON, NUMBERS, b'{"instances": [{"a": 1, "b": 2, "c": 3}]}', "unknown feature 'c'"),
        (JSON, MIXED, b'{"instances": [[1, "pink"]]}', "'pink' is not one of 'blue', 'red'"),
        (JSON, MIXED, b'{"instances": [[1, 0]]}', "0 is not one of 'blue', 'red'"),
        (CSV, NUMBERS, b"", "there are no instances"),
        (CSV, NUMBERS, b"a,b\n", "there are no instances"),
        (CSV, NUMBERS, b"1,2\n3\n", "row 2: 2 values expected (a, b), 1 given"),
        (CSV, NUMBERS, b"1,2\n3,x\n", "row 2, feature 'b': 'x' is not a number"),
        (CSV, NUMBERS, b"1,\n", "row 1, feature 'b': is empty"),
        (CSV, NUMBERS, b"1,1_0\n", "row 1, feature 'b': '1_0' is not a number"),
        (CSV, NUMBERS, b"b,a\n1,nan\n", "row 1, feature 'a': nan is not a finite number"),
        (CSV, NUMBERS, b"1,-inf\n", "feature 'b': -inf is not a finite number"),
        (CSV, NUMBERS, b"a,c\n1,2\n", "the header: feature 'b' is missing"),
        (CSV, NUMBERS, b"a,b,c\n1,2,3\n", "the header: unknown feature 'c'"),
        (CSV, NUMBERS, b"a,b,a\n1,2,3\n", "the header has feature 'a' twice"),
        (CSV, NUMBERS, b'1,"2\n', "the body is not CSV in UTF-8"),
        (CSV, NUMBERS, b"1,\xff\n", "the body is not CSV in UTF-8"),
        (CSV, ONE, b"1\n2],[3\n", "row 2: 1 value expected (a), 2 given"),
        (CSV, ONE, b"1\n\n2\n", "row 2: 1 value expected (a), 0 given"),
    ],
)
def test_what_does_not_fit_is_named(
    media_type: str, columns: Columns, body: bytes, words: str
) -> None:
    with pytest.raises(BadRequest) as refused:
        READERS[media_type].read(body, columns)
    assert words in str(refused.value)


def test_a_long_value_is_echoed_shortly() -> None:
    with pytest.raises(BadRequest) as refused:
        READERS[JSON].read(b'{"instances": [["' + b"x" * 5000 + b'"]]}', ONE)
    assert len(str(refused.value)) < 120


@pytest.mark.parametrize(
    ("media_type", "y", "expected"),
    [
        (JSON, np.array([1.5, 2.0]), b'{"predictions":[1.5,2.0]}'),
        (JSON, np.array(["a", "b"]), b'{"predictions":["a","b"]}'),
        (JSON, np.array([0, 1]), b'{"predictions":[0,1]}'),
        (JSON, np.array([[1.5, 2], [3, 4]]), b'{"predictions":[[1.5,2.0],[3.0,4.0]]}'),
        (LINES, np.array([[1.5, 2], [3, 4]]), b"[1.5,2.0]\n[3.0,4.0]\n"),
        (CSV, np.array([[1.5, 2], [3, 4]]), b"1.5,2.0\n3.0,4.0\n"),
        (LINES, np.array([1.5, 0.1]), b"1.5\n0.1\n"),
        (LINES, np.array(["a,b", 'say "c"']), b'"a,b"\n"say \\"c\\""\n'),
        (CSV, np.array([1.5, 0.1]), b"1.5\n0.1\n"),
        (CSV, np.array(["a,b", 'say "c"']), b'"a,b"\n"say ""c"""\n'),
        (JSON, np.array([True, False]), b'{"predictions":[true,false]}'),
        (CSV, np.array([True, False]), b"true\nfalse\n"),
    ],
)
def test_encode(media_type: str, y: np.ndarray, expected: bytes) -> None:
    assert WRITERS[media_type].write({"prediction": y}) == expected


@pytest.mark.parametrize(
    ("media_type", "expected"),
    [
        (
            JSON,
            (
                b'{"predictions":[{"prediction":"a","probability":[0.75,0.25]},'
                b'{"prediction":"b,","probability":[0.5,0.5]}]}'
            ),
        ),
        (
            LINES,
            (
                b'{"prediction":"a","probability":[0.75,0.25]}\n'
                b'{"prediction":"b,","probability":[0.5,0.5]}\n'
            ),
        ),
        (CSV, b'a,0.75,0.25\n"b,",0.5,0.5\n'),
    ],
)
def test_encode_several(media_type: str, expected: bytes) -> None:
    answers = {
        "prediction": np.array(["a", "b,"]),
        "probability": np.array([[0.75, 0.25], [0.5, 0.5]]),
    }
    assert WRITERS[media_type].write(answers) == expected


@pytest.mark.parametrize(
    ("body", "asked"),
    [
        (b'{"instances": [[1, 2]]}', []),
        (b'{"instances": [[1, 2]], "parameters": {"return": ["probability"]}}', ["probability"]),
        (b'{"parameters": {"return": ["a", "b"], "x": 1}, "instances": [[1, 2]]}', ["a", "b"]),
        (b'{"instances": [[1, 2]], "parameters": {}}', []),
        (b'{"instances": [[1, 2]], "parameters": null}', []),
        (b'[["parameters"]]', []),
    ],
)
def test_a_body_asks_for_outputs(body: bytes, asked: list[str]) -> None:
    assert list(READERS[JSON].asked(body)) == asked
    assert not READERS[CSV].asked(b'"parameters"')


@pytest.mark.parametrize(
    "parameters", [b"1", b"[]", b'{"return": "probability"}', b'{"return": [1]}']
)
def test_what_asks_for_no_outputs_is_refused(parameters: bytes) -> None:
    with pytest.raises(BadRequest, match='"parameters" is not an object with a list of outputs'):
        READERS[JSON].asked(b'{"instances": [[1, 2]], "parameters": %b}' % parameters)


@pytest.mark.parametrize(
    ("query", "asked"),
    [
        (b"", ()),
        (b"return=probability", ("probability",)),
        (b"return=prediction,probability", ("prediction", "probability")),
        (b"x=1&return=a&return=b", ("a", "b")),
        (b"return=a%20b", ("a b",)),
    ],
)
def test_a_query_asks_for_outputs(query: bytes, asked: tuple[str, ...]) -> None:
    assert negotiation.returned(query) == asked


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        (None, JSON),
        ("application/json", JSON),
        ("application/json; charset=utf-8", JSON),
        ('Application/JSON;charset="UTF-8"', JSON),
        ("text/csv", CSV),
        ("text/csv; header=present; charset=utf-8", CSV),
        ("application/jsonlines", LINES),
    ],
)
def test_reader(content_type: str | None, expected: str) -> None:
    assert negotiation.reader(content_type) is READERS[expected]


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "nonsense", "", "application/json; charset=utf-16", "application/x-npy"],
)
def test_no_reader(content_type: str) -> None:
    with pytest.raises(UnsupportedMedia):
        negotiation.reader(content_type)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, JSON),
        ("", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        ("text/csv", CSV),
        ("text/csv; charset=utf-8", CSV),
        ("text/*", CSV),
        ("text/csv, */*;q=0.1", CSV),
        ("text/csv;q=0.1, application/json", JSON),
        ("text/csv, application/json", JSON),
        ("text/html, text/csv;q=0.5", CSV),
        ("application/jsonlines", LINES),
    ],
)
def test_writer(accept: str | None, expected: str) -> None:
    assert negotiation.writer(accept) is WRITERS[expected]


@pytest.mark.parametrize("accept", ["text/html", "nonsense", "application/json;q=0"])
def test_no_writer(accept: str) -> None:
    with pytest.raises(NotAcceptable):
        negotiation.writer(accept)
