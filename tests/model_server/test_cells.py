"""Cells of every type, read alike from every format."""

import csv
import io
import itertools
import json
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from model_server.errors import BadRequest
from model_server.formats.csv import CSVReader
from model_server.formats.json import JSONReader
from model_server.formats.json_lines import JSONLinesReader
from model_server.formats.tensors import TensorReader, describe_inputs
from model_server.model import containers
from model_server.model.columns import Columns, Instances
from model_server.model.manifest import Feature
from tests.model_server.infer_requests import CARRIERS, Told

FEATURES = (
    Feature(name="area"),
    Feature(name="id", type="integer"),
    Feature(name="new", type="boolean"),
    Feature(name="form", type="category", categories=("flat", "house", "")),
    Feature(name="note", type="text"),
    Feature(name="sold", type="datetime"),
    Feature(name="place", type="vector", length=2),
)
ROW = (6.5, 2**53 + 1, True, "house", 'a "wide", view', "2020-02-29T10:00:00.000001", [1.5, -2])
READ = (*ROW[:6], (1.5, -2.0))
Read = Callable[[Columns, list[Any]], Instances]


def with_missing(feature: Feature) -> Feature:
    return feature.model_copy(update={"missing": feature.type != "vector"})


def by_json(columns: Columns, rows: list[Any]) -> Instances:
    return JSONReader().read(json.dumps({"instances": rows}).encode(), columns)


def by_object(columns: Columns, rows: list[Any]) -> Instances:
    objects = [dict(zip(columns.names, row, strict=True)) for row in rows]
    return JSONReader(block_bytes=64).read(json.dumps(objects).encode(), columns)


def by_lines(columns: Columns, rows: list[Any]) -> Instances:
    return JSONLinesReader().read("\n".join(map(json.dumps, rows)).encode(), columns)


def by_csv(columns: Columns, rows: list[Any], block_bytes: int = 1 << 15) -> Instances:
    text = io.StringIO()
    for row in rows:
        cells = [cell if isinstance(cell, str) else json.dumps(cell) for cell in row]
        csv.writer(text).writerow("" if cell == "null" else cell for cell in cells)
    return CSVReader(block_bytes).read(text.getvalue().encode(), columns)


def by_csv_in_blocks(columns: Columns, rows: list[Any]) -> Instances:
    return by_csv(columns, rows, block_bytes=64)


def by_tensors(columns: Columns, rows: list[Any], carrier: str = "JSON") -> Instances:
    if columns.only_numbers:
        shape = [len(rows), len(columns.names)]
        told = [
            Told("input-0", "FP64", shape, [*map(_number, itertools.chain.from_iterable(rows))])
        ]
    else:
        told = [*map(tensor, describe_inputs(columns), zip(*rows, strict=True))]
    return TensorReader().read(CARRIERS[carrier](*told), columns)


def _number(cell: float | None) -> float:
    return math.nan if cell is None else cell


def tensor(described: dict[str, Any], cells: Sequence[Any]) -> Told:
    datatype, width = described["datatype"], described["shape"][1]
    if datatype == "BYTES":
        cells = ["" if cell is None else cell for cell in cells]
    elif None in cells:
        datatype = "FP64"
        cells = [math.nan if cell is None else float(cell) for cell in cells]
    if width > 1:
        cells = [number for cell in cells for number in cell]
    return Told(described["name"], datatype, [len(cells) // width, width], list(cells))


def by_tensors_in_binary(columns: Columns, rows: list[Any]) -> Instances:
    return by_tensors(columns, rows, "binary")


def by_tensors_in_a_message(columns: Columns, rows: list[Any]) -> Instances:
    return by_tensors(columns, rows, "a message")


WAYS = [by_json, by_object, by_lines, by_csv, by_csv_in_blocks]
TENSORS = [by_tensors, by_tensors_in_binary, by_tensors_in_a_message]
WAYS += TENSORS


@pytest.mark.parametrize("read", WAYS)
def test_each_format_reads_the_same(read: Read) -> None:
    columns = Columns(FEATURES)
    rows = read(columns, [ROW] * 3)
    assert columns.written(rows) == [READ] * 3


@pytest.mark.parametrize("read", WAYS)
def test_values_may_be_missing(read: Read) -> None:
    columns = Columns([*map(with_missing, FEATURES)])
    empty = [None] * 6
    rows = [ROW, [*empty, ROW[6]], ROW]
    if read in TENSORS:  # numbers of 64 bits have no way to say that one is missing
        rows = [[row[0], row[1] and 7, *row[2:]] for row in rows]
    written = columns.written(read(columns, rows))
    blank = "" if read in (by_csv, by_csv_in_blocks, *TENSORS) else None
    assert written[0] == tuple(READ[i] if rows[0][i] != 7 else 7 for i in range(7))
    assert written[1] == (None, None, None, blank, None, None, READ[6])


@pytest.mark.parametrize("read", WAYS)
def test_numbers_alone_may_be_missing(read: Read) -> None:
    columns = Columns([Feature(name="a", missing=True), Feature(name="b")])
    X = read(columns, [[None, 1], [2, 3]])
    assert X.dtype == np.float64
    np.testing.assert_array_equal(X, [[np.nan, 1], [2, 3]])
    with pytest.raises(BadRequest, match="row 2, feature 'b'"):
        read(columns, [[None, 1], [2, None]])


@pytest.mark.parametrize(
    ("place", "cell", "words"),
    [
        (0, True, "true is not a number"),
        (0, "six", "'six' is not a number"),
        (0, None, "null is not a number"),
        (1, 2.5, "2.5 is not a whole number"),
        (1, True, "true is not a whole number"),
        (1, 2**63, "is beyond 64 bits"),
        (1, 1e300, "1e+300 is not a whole number"),
        (1, None, "null is not a whole number"),
        (2, 2, "2 is not true or false"),
        (2, "yes", "'yes' is not true or false"),
        (3, "barn", "'barn' is not one of 'flat', 'house', ''"),
        (3, None, "null is not one of"),
        (4, 5, "5 is not a text"),
        (4, None, "null is not a text"),
        (5, "yesterday", "'yesterday' is not a date and time such as 2000-01-01T00:00:00"),
        (5, "2020-01-01T00:00:00Z", "has an offset from UTC; send it as 2000-01-01T00:00:00"),
        (5, "1500-01-01", "is not of the years 1678 to 2261"),
        (5, 5, "5 is not a date and time"),
        (6, [1.5], "a list of 2 numbers expected, one of 1 given"),
        (6, [1.5, True], "true in its list is not a number"),
        (6, 1.5, "1.5 is not a list of 2 numbers"),
    ],
)
@pytest.mark.parametrize("read", [by_json, by_object, by_lines])
def test_what_does_not_fit_is_told(read: Read, place: int, cell: Any, words: str) -> None:
    wrong = [*ROW[:place], cell, *ROW[place + 1 :]]
    with pytest.raises(BadRequest) as refused:
        read(Columns(FEATURES), [ROW, wrong])
    assert str(refused.value).startswith(f"row 2, feature {FEATURES[place].name!r}: ")
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("place", "cell", "words"),
    [
        (0, "", "is empty"),
        (0, "true", "'true' is not a number"),
        (1, "2.5", "2.5 is not a whole number"),
        (1, "9" * 19, "is beyond 64 bits"),
        (1, "", "is empty"),
        (2, "2", "'2' is not true or false"),
        (5, "", "'' is not a date and time"),
        (6, "1.5", "1.5 is not a list of 2 numbers"),
        (6, "1;2", "'1;2' is not a list in JSON, such as [0.5, 1]"),
    ],
)
def test_what_does_not_fit_in_a_file_is_told(place: int, cell: str, words: str) -> None:
    wrong = [*ROW[:place], cell, *ROW[place + 1 :]]
    with pytest.raises(BadRequest) as refused:
        by_csv(Columns(FEATURES), [ROW, wrong])
    assert str(refused.value).startswith(f"row 2, feature {FEATURES[place].name!r}: ")
    assert words in str(refused.value)


def test_texts_are_not_told_to_whoever_sends_others() -> None:
    secret = Feature(name="note", type="text")
    with pytest.raises(BadRequest) as refused:
        by_json(Columns([secret]), [[None]])
    assert str(refused.value) == "row 1, feature 'note': null is not a text"


def test_few_categories_are_told() -> None:
    many = Feature(name="zip", type="category", categories=tuple(map(str, range(1000))))
    with pytest.raises(BadRequest, match=r"'18', '19' and 980 more$"):
        by_json(Columns([many]), [["x"]])


def test_categories_may_be_numbers_and_truths() -> None:
    columns = Columns([Feature(name="c", type="category", categories=(1, 2, True))])
    rows = by_json(columns, [[1], [True], [2]])
    assert [type(cell) for (cell,) in columns.written(rows)] == [int, bool, int]
    assert columns.written(by_csv(columns, [["2"], ["True"]])) == [(2,), (True,)]
    with pytest.raises(BadRequest, match=r"1\.0 is not one of 1, 2, true"):
        by_json(columns, [[1.0]])


@pytest.mark.parametrize("read", WAYS)
def test_unknown_categories_may_be_left_to_the_model(read: Read) -> None:
    columns = Columns([Feature(name="c", type="category", categories=("a",), unknown=True)])
    assert columns.written(read(columns, [["a"], ["b"]])) == [("a",), ("b",)]


def test_times_have_the_offset_of_the_training() -> None:
    columns = Columns([Feature(name="t", type="datetime", dtype="datetime64[us, Europe/Oslo]")])
    rows = by_json(columns, [["2020-06-01T12:00:00+02:00"], ["1500-06-01T12:00:00Z"]])
    assert columns.written(rows)[0] == ("2020-06-01T10:00:00Z",)
    with pytest.raises(BadRequest, match="has no offset from UTC; send it as 2000-01-01T00:00:00Z"):
        by_json(columns, [["2020-06-01T12:00:00"]])
    frame = containers.contained(rows, columns.features, "frame")
    assert frame.t[0] == pd.Timestamp("2020-06-01T12:00:00", tz="Europe/Oslo")
    assert str(frame.t.dtype) == "datetime64[us, Europe/Oslo]"


def test_a_frame_has_the_dtypes_of_the_training() -> None:
    kinds = {"area": "float32", "form": "category", "id": "Int64"}
    features = [
        with_missing(feature).model_copy(update={"dtype": kinds.get(feature.name, "")})
        for feature in FEATURES
    ]
    rows = by_json(Columns(features), [ROW, [*[None] * 6, ROW[6]]])
    frame = containers.contained(rows, features, "frame")
    assert frame.dtypes.astype(str).to_dict() == {
        "area": "float32",
        "id": "Int64",
        "new": "object",
        "form": "category",
        "note": "object",
        "sold": "datetime64[ns]",
        "place": "object",
    }
    assert frame.form.cat.categories.tolist() == ["flat", "house", ""]
    assert frame.id[0] == 2**53 + 1
    assert frame.isna().sum().to_dict() == {
        **dict.fromkeys(("area", "id", "new", "form", "note", "sold"), 1),
        "place": 0,
    }


@pytest.mark.parametrize(
    ("feature", "values"),
    [
        (Feature(name="x"), [6.5, 7.0]),
        (Feature(name="x", missing=True), [6.5, None]),
        (Feature(name="x", type="text"), ["a [fine], {film}", 'a "quoted" \\', ""]),
        (Feature(name="x", type="boolean"), [True, False]),
        (Feature(name="x", type="integer"), [2**60 + 1, -1]),
    ],
)
@pytest.mark.parametrize("block_bytes", [1, 40, 1 << 15])
def test_the_value_of_an_only_feature_is_an_instance(
    feature: Feature, values: list[Any], block_bytes: int
) -> None:
    columns = Columns([feature])
    expected = [(value,) for value in values] * 50
    body = json.dumps({"instances": values * 50}).encode()
    assert columns.written(JSONReader(block_bytes).read(body, columns)) == expected
    lines = "\n".join(map(json.dumps, values * 50)).encode()
    assert columns.written(JSONLinesReader(block_bytes).read(lines, columns)) == expected


def test_many_values_are_read_in_a_time_that_grows_with_them() -> None:
    """None of them is looked for in all that follows it."""
    columns = Columns([Feature(name="x", type="text")])
    body = json.dumps(["a"] * 200_000).encode()
    assert len(JSONReader().read(body, columns)) == 200_000
