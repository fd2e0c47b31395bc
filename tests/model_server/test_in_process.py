"""The handlers answer without a connection, and only what is allowed."""

import asyncio
from pathlib import Path

import pytest

from model_server.errors import RequestError
from model_server.formats import negotiation
from model_server.formats.codec import BLOCK_BYTES
from model_server.formats.json import JSONWriter
from model_server.http.messages import Request, Response
from model_server.http.operation import Operation
from model_server.http.predictions import Predictions
from model_server.http.router import Route, Router
from model_server.inference import turns
from model_server.inference.executor import Executors
from model_server.inference.served import Served
from model_server.model import directory, loading
from tests.model_server.handler_transport import client


async def reached(_: Request, *chosen: str) -> Response:
    return Response(200, body=f"reached {chosen}".encode())


SOME = Operation(tag="Some", summary="Whatever")
ROUTES = (
    Route("GET", "/v1/models/{name}", reached, SOME),
    Route("POST", "/v1/models/{name}:predict", reached, SOME),
    Route("POST", "/v2/models/{name}/versions/{version}/infer", reached, SOME),
    Route("GET", "/models", reached, SOME),
    Route("POST", "/models", reached, SOME),
)


@pytest.fixture
def rooms(models: Path) -> Served:
    read = directory.read(models / "rooms")
    return Served(read, loading.load(read), Executors(queue_limit_s=60).start(), rows_limit=10)


async def test_a_prediction(rooms: Served) -> None:
    async with client(Router(Predictions(lambda *_: rooms).routes())) as server:
        answer = await server.post("/v1/models/rooms:predict", json={"instances": [[6.5]]})
        assert answer.json()["predictions"] == pytest.approx([21310.95], abs=0.01)
        answer = await server.post(
            "/v1/models/rooms:predict",
            content="RM\n5\nsix\n",
            headers={"content-type": "text/csv", "accept": "text/csv"},
        )
        assert answer.status_code == 400
        assert answer.json() == {
            "error": "row 2, feature 'RM': 'six' is not a number",
            "row": 2,
            "feature": "RM",
        }


async def test_each_stage_is_timed_once(rooms: Served) -> None:
    async with client(Router(Predictions(lambda *_: rooms).routes())) as server:
        for row in ([6.5], ["six"], [7]):
            await server.post("/v1/models/rooms:predict", json={"instances": [row]})
    stages = (rooms.reading, rooms.predicting, rooms.writing)
    assert [stage.cumulative()[-1] for stage in stages] == [2, 2, 2]


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/csv", b".5\n" * 100_000),
        ("application/json", b"[" + b'{"RM":6},' * 100_000 + b'["six"]]'),
        ("application/jsonlines", b'{"RM":6}\n' * 100_000),
    ],
)
async def test_a_long_body_leaves_others_their_turn(
    rooms: Served, monkeypatch: pytest.MonkeyPatch, content_type: str, body: bytes
) -> None:
    monkeypatch.setattr(turns, "_SLICE_S", 0.0)
    reader = negotiation.reader(content_type)
    refused = asyncio.create_task(rooms.predict(body, len(body), reader, JSONWriter()))
    n_turns = 0
    while not refused.done():
        n_turns += 1
        await asyncio.sleep(0)
    assert n_turns > len(body) / BLOCK_BYTES
    with pytest.raises(RequestError, match=r"row 100001|100000 rows; send at most 10"):
        await refused


@pytest.mark.parametrize(
    ("method", "path", "status", "told"),
    [
        ("GET", "/v1/models/rooms", 200, "reached ('rooms',)"),
        ("POST", "/v1/models/rooms:predict", 200, "reached ('rooms',)"),
        ("POST", "/v1/models/a%0Ab:predict", 200, r"reached ('a\nb',)"),
        ("POST", "/v2/models/rooms/versions/1/infer", 200, "reached ('rooms', '1')"),
        ("POST", f"/v1/models/{'r' * 300}:predict", 200, "rrr"),
        ("GET", "/v1/models/rooms:predict", 405, "POST"),
        ("POST", "/v1/models/rooms:explain", 404, ""),
        ("DELETE", "/models", 405, "GET, HEAD, POST"),
        ("HEAD", "/models", 200, ""),
        ("POST", "/models", 200, "reached"),
        ("POST", "/v2/repository/models/rooms/unload", 404, ""),
        ("GET", "/v1/models/rooms/", 404, ""),
        ("GET", "/v1/models/a/b", 404, ""),
        ("GET", "/", 404, ""),
    ],
)
async def test_what_is_not_in_the_list_is_not_reached(
    method: str, path: str, status: int, told: str
) -> None:
    async with client(Router(ROUTES)) as server:
        answer = await server.request(method, path)
    assert answer.status_code == status
    if status == 200:
        assert told in answer.text
    else:
        assert answer.headers.get("allow", "") == told
        assert answer.json()["error"].endswith(f"{method} {path}")
