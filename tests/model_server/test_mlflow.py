"""What clients of MLflow's scoring server send, in all its forms."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pandas as pd
import pytest

from model_server import __version__, settings
from model_server.errors import ModelServerError
from model_server.formats.codec import BLOCK_BYTES
from model_server.http.predictions import Predictions
from model_server.http.router import Router
from model_server.inference.health import Health
from model_server.kserve.repository import Repository
from model_server.mlflow.routes import ScoringServer
from tests.model_server import handler_transport, small_models

ROWS = pd.DataFrame({"area": [1.5, 8.25, 4.0], "shape": ["round", "flat", "square"]})
NUMBERS = pd.DataFrame({"area": [1.5, 8.25], "age": [20, 3]})


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return small_models.opened(tmp_path_factory.mktemp("small"), rows_limit=1_000_000)


def handler(repository: Repository, model: str) -> Router:
    predictions = Predictions(repository.find_ready)
    scoring = ScoringServer(repository.served, Health(), predictions, model)
    return Router([*scoring.routes(), *predictions.routes()])


@pytest.fixture
async def shapes(repository: Repository) -> AsyncIterator[httpx.AsyncClient]:
    async with handler_transport.client(handler(repository, "shapes")) as client:
        yield client


async def invoke(client: httpx.AsyncClient, body: Any, **options: Any) -> httpx.Response:
    content = body if isinstance(body, str) else json.dumps(body)
    headers = {"content-type": options.get("content_type", "application/json")}
    return await client.post("/invocations", content=content, headers=headers)


def forms(rows: pd.DataFrame) -> dict[str, Any]:
    other_order = rows[rows.columns[::-1]]
    return {
        "dataframe_split": {"dataframe_split": rows.to_dict("split")},
        "another order": {"dataframe_split": other_order.to_dict("split")},
        "without an index": {
            "dataframe_split": {"data": rows.to_numpy().tolist(), "columns": [*rows.columns]}
        },
        "dataframe_records": {"dataframe_records": rows.to_dict("records")},
        "records of another order": {"dataframe_records": other_order.to_dict("records")},
        "instances": {"instances": rows.to_numpy().tolist()},
        "instances by name": {"params": {}, "instances": rows.to_dict("records")},
        "inputs": {"inputs": rows.to_dict("list")},
        "inputs of another order": {"inputs": other_order.to_dict("list")},
        "inputs as rows": {"inputs": rows.to_numpy().tolist()},
        "a list": rows.to_numpy().tolist(),
    }


@pytest.mark.parametrize("form", forms(ROWS))
@pytest.mark.parametrize("times", [1, 2000])
async def test_each_form_gives_the_same(shapes: httpx.AsyncClient, form: str, times: int) -> None:
    rows = pd.concat([ROWS] * times, ignore_index=True)
    body = json.dumps(forms(rows)[form])
    assert times == 1 or len(body) > BLOCK_BYTES
    by_v1 = json.dumps({"instances": rows.to_numpy().tolist()})
    expected = (await shapes.post("/v1/models/shapes:predict", content=by_v1)).json()
    answer = await invoke(shapes, body)
    assert answer.json() == expected


@pytest.mark.parametrize("form", ["dataframe_split", "another order", "inputs"])
async def test_a_matrix_keeps_its_columns(repository: Repository, form: str) -> None:
    async with handler_transport.client(handler(repository, "numbers")) as client:
        by_v1 = {"instances": NUMBERS.to_numpy().tolist()}
        expected = (await client.post("/v1/models/numbers:predict", json=by_v1)).json()
        assert (await invoke(client, forms(NUMBERS)[form])).json() == expected


async def test_csv_and_outputs_by_name(shapes: httpx.AsyncClient) -> None:
    csv = ROWS.to_csv(index=False)
    expected = (await invoke(shapes, forms(ROWS)["instances"])).json()
    assert (await invoke(shapes, csv, content_type="text/csv")).json() == expected
    asked = {**forms(ROWS)["dataframe_split"], "parameters": {"return": ["nope"]}}
    assert "no output 'nope'" in (await invoke(shapes, asked)).json()["error"]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({}, "and the body has none of them"),
        ({"data": [[1.5, "round"]]}, "and the body has none of them"),
        (
            {"inputs": [[1, "flat"]], "instances": [[1, "flat"]]},
            "the body has instances and inputs",
        ),
        ({"dataframe_split": {"columns": ["area"]}}, "missing required field `data`"),
        ({"dataframe_split": {"columns": ["area", "shape"], "data": 1}}, "list"),
        ({"dataframe_split": {"columns": ["area"], "data": [[1]]}}, "'shape' is missing"),
        (
            {"dataframe_split": {"columns": ["area", "area"], "data": [[1, 1]]}},
            "'shape' is missing",
        ),
        ({"dataframe_split": {"columns": ["shape", "area"], "data": [["flat", "x"]]}}, "'x'"),
        ({"dataframe_records": {"area": 1}}, "list"),
        ({"dataframe_records": [{"area": 1}]}, "'shape'"),
        ({"inputs": {"area": [1, 2], "shape": ["flat"]}}, "the columns have 1 and 2 cells"),
        ({"inputs": {"area": 1, "shape": "flat"}}, "'area' is no list of its cells"),
        ({"inputs": {"area": [], "shape": []}}, "no instances"),
        ({"inputs": {"area": [1]}}, "'shape' is missing"),
        ({"inputs": {"area": [1, 1], "shape": ["flat", "oval"]}}, "row 2, feature 'shape'"),
        ({"inputs": "flat"}, "list"),
        ('{"inputs": [1, }', "not JSON"),
        ("nothing", "not JSON"),
    ],
)
async def test_what_is_wrong_is_told(shapes: httpx.AsyncClient, body: Any, told: str) -> None:
    answer = await invoke(shapes, body)
    assert answer.status_code == 400, answer.text
    assert told in answer.json()["error"]


async def test_the_other_routes(shapes: httpx.AsyncClient, repository: Repository) -> None:
    for path, text in (("/ping", ""), ("/health", ""), ("/version", __version__)):
        answer = await shapes.get(path)
        assert (answer.status_code, answer.text) == (200, text)
    repository.served["shapes"].ready = False
    try:
        assert (await shapes.get("/ping")).status_code == 503
        assert (await invoke(shapes, forms(ROWS)["inputs"])).status_code == 503
    finally:
        repository.served["shapes"].ready = True


def test_one_model_is_asked(repository: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    assert repository.only("shapes") == "shapes"
    with pytest.raises(ModelServerError, match="name one with --invocations"):
        repository.only("")
    with pytest.raises(SystemExit):
        settings.parse(["--mlflow", "--sagemaker"], {})
    assert "set one of them" in capsys.readouterr().err
