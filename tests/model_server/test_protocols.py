"""The same rows get the same answer, or the same error, by every way in; all in this process."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import numpy as np
import pytest

from model_server import settings
from model_server.http.messages import Handler
from model_server.server import Server
from tests.model_server import handler_transport, small_models

JSON, CSV, LINES = "application/json", "text/csv", "application/jsonlines"


@pytest.fixture(scope="module")
def handler(tmp_path_factory: pytest.TempPathFactory) -> Handler:
    """What answers every request; there is one in a process, as the metrics' registry is."""
    repository = small_models.opened(tmp_path_factory.mktemp("small"), rows_limit=100)
    return Server(settings.parse(["--body-limit-bytes", "100000"], {}), repository).handler()


@pytest.fixture
async def client(handler: Handler) -> AsyncIterator[httpx.AsyncClient]:
    async with handler_transport.client(handler) as opened:
        yield opened


ROWS: dict[str, list[list[Any]]] = {
    "numbers": [[1.5, 20], [8.25, 3], [4, 0]],
    "labels": [[1.5, 20], [8.25, 3], [4, 0]],
    "stars": [[1.5, 20], [8.25, 3], [4, 0]],
    "shapes": [[1.5, "round"], [8.25, "flat"]],
    "estimator": [[1.5, 20], [8.25, 3], [4, 0]],
}


async def chunks(content: bytes) -> AsyncIterator[bytes]:
    yield content


class Ways:
    """The ways in; each returns the predictions, or the status and the error."""

    def __init__(self, client: httpx.AsyncClient, model: str) -> None:
        self._client = client
        self._model = model
        self._names = small_models.MODELS[model][2]

    async def all(self, rows: list[list[Any]]) -> dict[str, Any]:
        lists = {"instances": rows}
        objects = {"instances": [dict(zip(self._names, row, strict=True)) for row in rows]}
        lines = "\n".join(map(json.dumps, rows))
        csv = "\n".join(",".join(map(str, row)) for row in rows)
        header = ",".join(self._names)
        return {
            "lists": await self._v1(json.dumps(lists), JSON),
            "objects": await self._v1(json.dumps(objects), JSON),
            "a bare list": await self._v1(json.dumps(rows), JSON),
            "lines": await self._v1(lines, LINES),
            "CSV": await self._v1(csv, CSV),
            "CSV with a header": await self._v1(f"{header}\n{csv}", CSV),
            "in chunks": await self._v1(json.dumps(lists), JSON, announced=False),
            "v2": await self._v2(rows),
        }

    async def _v1(self, text: str, media_type: str, *, announced: bool = True) -> Any:
        content: Any = text.encode() if announced else chunks(text.encode())
        answer = await self._client.post(
            f"/v1/models/{self._model}:predict",
            content=content,
            headers={"content-type": media_type},
        )
        return answer.json()["predictions"] if answer.is_success else _refused(answer)

    async def _v2(self, rows: list[list[Any]]) -> Any:
        inputs = [
            {
                "name": name,
                "shape": [len(rows), 1],
                "datatype": "BYTES" if isinstance(cells[0], str) else "FP64",
                "data": list(cells),
            }
            for name, cells in zip(self._names, zip(*rows, strict=True), strict=True)
        ]
        answer = await self._client.post(f"/v2/models/{self._model}/infer", json={"inputs": inputs})
        return answer.json()["outputs"][0]["data"] if answer.is_success else _refused(answer)


def _refused(answer: httpx.Response) -> tuple[int, Any]:
    return answer.status_code, answer.json()


@pytest.mark.parametrize("model", ROWS)
async def test_every_way_gives_the_estimators_own_answer(
    client: httpx.AsyncClient, model: str
) -> None:
    ways = await Ways(client, model).all(ROWS[model])
    estimator, _target, features = small_models.MODELS[model]
    import pandas as pd

    frame = pd.DataFrame(ROWS[model], columns=features)
    inputs = frame if model == "shapes" else frame.to_numpy(dtype=np.float64)
    expected = estimator.predict(inputs).tolist()
    for way, answer in ways.items():
        if isinstance(expected[0], float):
            assert answer == pytest.approx(expected, rel=1e-5), way
        else:
            assert answer == expected, way


@pytest.mark.parametrize(
    ("model", "rows", "told"),
    [
        ("shapes", [[1.5, "round"], [2, "oval"]], {"row": 2, "feature": "shape"}),
        ("numbers", [[1, 2]] * 101, {}),
        ("numbers", [[1, 2], [-1e39, 2]], {"row": 2, "feature": "area"}),
        ("estimator", [[1, 2], [-1e39, 2]], {"row": 2, "feature": "area"}),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
async def test_every_way_refuses_alike(
    client: httpx.AsyncClient, model: str, rows: list[list[Any]], told: dict[str, Any]
) -> None:
    ways = await Ways(client, model).all(rows)
    first = ways["lists"]
    assert {name: value for name, value in first[1].items() if name != "error"} == told
    assert all(answer == first for answer in ways.values()), ways


async def test_metrics_count_each_request_once(client: httpx.AsyncClient) -> None:
    def count(text: str, stage: str) -> float:
        name = f'request_{stage}_seconds_count{{model_name="stars"}} '
        [line] = [line for line in text.splitlines() if line.startswith(name)]
        return float(line.removeprefix(name))

    before = (await client.get("/metrics")).text
    ways = await Ways(client, "stars").all(ROWS["stars"])
    after = (await client.get("/metrics")).text
    for stage in ("preprocess", "predict", "postprocess"):
        assert count(after, stage) - count(before, stage) == len(ways)


async def test_the_schema_and_the_metadata_say_what_is_given(client: httpx.AsyncClient) -> None:
    described = (await client.get("/v1/models/shapes/schema")).json()
    assert described["features"]["properties"]["shape"]["enum"] == ["flat", "round", "square"]
    metadata = (await client.get("/v2/models/shapes")).json()
    assert [tensor["name"] for tensor in metadata["inputs"]] == ["area", "shape"]
    assert (await client.get("/v2/models/labels")).json()["outputs"][0]["datatype"] == "BYTES"
    assert (await client.get("/v2/models/nope")).status_code == 404
    assert (await client.get("/v1/models/nope/schema")).status_code == 404


async def test_v2_needs_no_content_type(client: httpx.AsyncClient) -> None:
    """Triton's client sends none with JSON, and curl that of a form."""
    tensor = {"name": "area", "shape": [1], "datatype": "FP64", "data": [1.5]}
    other = {**tensor, "name": "age", "data": [20]}
    body = json.dumps({"inputs": [tensor, other]}).encode()
    given = [{}, {"content-type": "application/x-www-form-urlencoded"}, {"content-type": JSON}]
    answers = [
        (await client.post("/v2/models/numbers/infer", content=body, headers=headers)).json()
        for headers in given
    ]
    assert len(answers[0]["outputs"][0]["data"]) == 1
    assert answers == [answers[0]] * 3


async def test_v2_answers_in_binary_where_it_is_asked_to(client: httpx.AsyncClient) -> None:
    inputs = [
        {"name": "area", "shape": [2], "datatype": "FP64", "data": [1.5, 8.25]},
        {"name": "shape", "shape": [2, 1], "datatype": "BYTES", "data": ["round", "flat"]},
    ]
    path = "/v2/models/shapes/infer"
    plain = await client.post(path, json={"id": "x", "inputs": inputs})
    told = plain.json()["outputs"][0]
    assert (plain.json()["id"], plain.headers["content-type"]) == ("x", JSON)
    assert "inference-header-content-length" not in plain.headers
    flag = {"binary_data": True}
    output = {"name": told["name"], "parameters": flag}
    for asked in (
        {"parameters": {"binary_data_output": True}},
        {"outputs": [output]},
        {"parameters": {"binary_data_output": False}, "outputs": [output]},
    ):
        answer = await client.post(path, json={"inputs": inputs, **asked})
        length = int(answer.headers["inference-header-content-length"])
        assert answer.headers["content-type"] == "application/octet-stream"
        assert int(answer.headers["content-length"]) == len(answer.content)
        [described] = json.loads(answer.content[:length])["outputs"]
        assert described["parameters"] == {"binary_data_size": len(answer.content) - length}
        assert np.frombuffer(answer.content[length:]).tolist() == told["data"]
    no = {"parameters": {"binary_data_output": True}, "outputs": [{**output, "parameters": {}}]}
    no["outputs"][0]["parameters"] = {"binary_data": False}  # type: ignore[index]
    assert (await client.post(path, json={"inputs": inputs, **no})).json()["outputs"] == [told]


@pytest.mark.parametrize("length", ["x", "-1", "99999", "²"])
async def test_a_wrong_length_of_the_json_is_told(client: httpx.AsyncClient, length: str) -> None:
    headers = {b"inference-header-content-length": length.encode("latin-1")}
    answer = await client.post("/v2/models/numbers/infer", content=b"{}", headers=headers)
    assert answer.status_code == 400
    assert "Inference-Header-Content-Length is" in answer.json()["error"]


async def test_a_version_may_be_asked_for(client: httpx.AsyncClient) -> None:
    plain = (await client.get("/v2/models/numbers")).json()
    path = f"/v2/models/numbers/versions/{plain['versions'][0]}"
    assert (await client.get(path)).json() == plain
    assert (await client.get(f"{path}/ready")).json() == {"name": "numbers", "ready": True}
    for other in ("99", "99/ready", "99/config", "99/stats"):
        answer = await client.get(f"/v2/models/numbers/versions/{other}")
        assert answer.status_code == 404
        assert "Model numbers has no version" in answer.json()["error"]


async def test_v2_of_a_name_that_nobody_has(client: httpx.AsyncClient) -> None:
    for name in ("nope", "nope/versions/1", "", "../numbers"):
        answer = await client.post(f"/v2/models/{name}/infer", json={"inputs": []})
        assert answer.status_code == 404


async def test_the_document_tells_every_route_and_what_each_model_takes(
    client: httpx.AsyncClient,
) -> None:
    document = (await client.get("/openapi.json")).json()
    [version] = (await client.get("/v2/models/numbers")).json()["versions"]
    assert document["info"]["title"] == "sklearn-model-server"
    predicting = [path for path in document["paths"] if path.endswith(":predict")]
    assert predicting == [f"/v1/models/{name}:predict" for name in sorted(small_models.MODELS)]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            body = operation.get("requestBody", {}).get("content", {}).get(JSON, {})
            asked = path.format(name="numbers", version=version)
            answer = await client.request(method, asked, json=body.get("example"))
            assert answer.status_code == 200, (path, answer.text)
            media_type = answer.headers["content-type"].partition(";")[0]
            assert media_type in operation["responses"]["200"]["content"]
