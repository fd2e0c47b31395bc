"""Columns that are no features are refused, or ignored where the server or the model says so."""

import io
from pathlib import Path

import httpx
import numpy as np
import pytest

from model_server.errors import BadRequest
from model_server.formats.codec import BLOCK_BYTES, Reader
from model_server.formats.csv import CSVReader
from model_server.formats.json import JSONReader
from model_server.formats.json_lines import JSONLinesReader
from model_server.formats.mlflow_json import MLflowReader
from model_server.formats.rows import at_once
from model_server.http.predictions import Predictions
from model_server.http.router import Router
from model_server.model import directory
from model_server.model.columns import Columns
from model_server.model.manifest import Feature
from model_server.model.signature import describe
from tests.model_server import small_models
from tests.model_server.handler_transport import client

A, B = Feature(name="a"), Feature(name="b")
FORM = Feature(name="form", type="category", categories=("round", "flat"))
NUMBERS = Columns([A, B], ignores_surplus=True)
MIXED = Columns([A, FORM], ignores_surplus=True)

BODIES: list[tuple[Reader, Columns, str, list[tuple[object, ...]]]] = [
    (
        JSONReader(),
        NUMBERS,
        '{"instances": [{"x": "?", "b": 2, "a": 1}, [3, 4]]}',
        [(1, 2), (3, 4)],
    ),
    (JSONReader(), MIXED, '[{"a": 1, "form": "flat", "x": {"deep": [null]}}]', [(1, "flat")]),
    (JSONLinesReader(), NUMBERS, '{"a": 1, "x": [], "b": 2}\n[3, 4]\n', [(1, 2), (3, 4)]),
    (CSVReader(), NUMBERS, "x,b,y,a\nsome text,2,,1\n,4,7,3\n", [(1, 2), (3, 4)]),
    (CSVReader(), NUMBERS, 'a,x,x,b\n1,"a, b\nc",5,2\n', [(1, 2)]),
    (CSVReader(), MIXED, "x,form,a\n1,round,2\n", [(2, "round")]),
    (CSVReader(), NUMBERS, "1,2\n3,4\n", [(1, 2), (3, 4)]),
    (
        MLflowReader(),
        NUMBERS,
        '{"dataframe_split": {"columns": ["x", "b", "a"], "data": [["?", 2, 1], [null, 4, 3]]}}',
        [(1, 2), (3, 4)],
    ),
    (MLflowReader(), NUMBERS, '{"dataframe_records": [{"a": 1, "x": 0, "b": 2}]}', [(1, 2)]),
    (MLflowReader(), NUMBERS, '{"inputs": {"x": "?", "a": [1, 3], "b": [2, 4]}}', [(1, 2), (3, 4)]),
]


@pytest.mark.parametrize(("reader", "columns", "body", "rows"), BODIES)
def test_they_are_not_read(
    reader: Reader, columns: Columns, body: str, rows: list[tuple[object, ...]]
) -> None:
    assert columns.written(reader.read(body.encode(), columns)) == rows
    assert columns.written(at_once(reader.steps(body.encode(), columns))) == rows


@pytest.mark.parametrize(("reader", "columns", "body", "rows"), BODIES)
def test_they_are_refused_by_default(
    reader: Reader, columns: Columns, body: str, rows: list[tuple[object, ...]]
) -> None:
    strict = Columns(columns.features)
    if "x" not in body:
        assert strict.written(reader.read(body.encode(), strict)) == rows
        return
    with pytest.raises(BadRequest, match="'x'"):
        reader.read(body.encode(), strict)


def test_a_long_table_is_read_without_them() -> None:
    rng = np.random.default_rng(0)
    table = rng.normal(size=(20_000, 2))
    text = io.StringIO()
    text.write("x,b,a\n")
    for a, b in table.tolist():
        text.write(f'"some, text",{b!r},{a!r}\n')
    body = text.getvalue().encode()
    assert len(body) > BLOCK_BYTES
    np.testing.assert_array_equal(at_once(CSVReader().steps(body, NUMBERS)), table)


@pytest.mark.parametrize(
    ("reader", "body", "told"),
    [
        (CSVReader(), "x,a,b\n1,2\n", "row 1: 3 values expected, as in the header, 2 given"),
        (CSVReader(), "x,a,b\n1,2,3\n0,six,7\n", "row 2, feature 'a': 'six' is not a number"),
        (CSVReader(), "a,x,a,b\n1,2,3,4\n", "the header has feature 'a' twice"),
        (CSVReader(), "x,a\n1,2\n", "the header: feature 'b' is missing"),
        (CSVReader(), "1,2,3\n", "row 1: 2 values expected (a, b), 3 given"),
        (JSONReader(), '{"instances": [[1, 2, 3]]}', "row 1: 2 values expected (a, b), 3 given"),
        (JSONReader(), '{"instances": [{"a": 1, "x": 2}]}', "row 1: feature 'b' is missing"),
        (JSONReader(), '{"instances": [{"a": 1, "b": "2", "x": 2}]}', "row 1, feature 'b': '2' is"),
        (
            MLflowReader(),
            '{"dataframe_split": {"columns": ["x", "b", "a"], "data": [[0, 2, 1], [2, 1]]}}',
            "row 2: 3 values expected, as there are columns, 2 given",
        ),
        (
            MLflowReader(),
            '{"dataframe_split": {"columns": ["x", "b", "a"], "data": [[0, 2, "one"]]}}',
            "row 1, feature 'a': 'one' is not a number",
        ),
    ],
)
def test_what_does_not_fit_is_named(reader: Reader, body: str, told: str) -> None:
    with pytest.raises(BadRequest) as refused:
        reader.read(body.encode(), NUMBERS)
    assert told in str(refused.value)


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> Router:
    folder = small_models.write(tmp_path_factory.mktemp("small"))
    shapes = folder / "shapes"
    manifest = directory.read(shapes).manifest.model_copy(update={"surplus": "ignored"})
    files = {name: (shapes / name).read_bytes() for name in manifest.files}
    directory.write(shapes, manifest, files)
    repository = small_models.opened_from(folder, rows_limit=100)
    return Router(Predictions(repository.find_ready).routes())


async def test_a_model_may_say_so_by_every_protocol(answered: Router) -> None:
    row = {"area": 80.0, "shape": "round"}
    async with client(answered) as server:
        alone = await ask(server, row)
        assert await ask(server, {**row, "colour": "red", "id": 7}) == alone
        body = {
            "inputs": [
                {"name": "colour", "shape": [1], "datatype": "BYTES", "data": ["red"]},
                {"name": "area", "shape": [1], "datatype": "FP64", "data": [80.0]},
                {"name": "shape", "shape": [1], "datatype": "BYTES", "data": ["round"]},
            ]
        }
        answer = await server.post("/v2/models/shapes/infer", json=body)
        assert answer.json()["outputs"][0]["data"] == alone["predictions"]
        other = await server.post(
            "/v1/models/numbers:predict", json={"instances": [{"area": 1, "age": 2, "id": 7}]}
        )
        assert other.status_code == 400


async def ask(server: httpx.AsyncClient, row: dict[str, object]) -> dict[str, object]:
    answer = await server.post("/v1/models/shapes:predict", json={"instances": [row]})
    assert answer.status_code == 200, answer.text
    told: dict[str, object] = answer.json()
    return told


def test_a_server_may_say_so_for_all(tmp_path: Path) -> None:
    folder = small_models.write(tmp_path)
    for ignores in (False, True):
        repository = small_models.opened_from(folder, rows_limit=10, ignores_surplus=ignores)
        for served in repository.served.values():
            told = describe(served.manifest, served.signature)
            assert told["features"]["additionalProperties"] is ignores
