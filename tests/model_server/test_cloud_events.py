"""CloudEvents as the project's own library writes and reads them."""

import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from cloudevents.conversion import to_binary, to_structured
from cloudevents.http import CloudEvent, from_http

from model_server.http.predictions import Predictions
from model_server.http.router import Router
from tests.model_server import handler_transport, small_models

ATTRIBUTES = {"type": "homes.asked", "source": "tests", "datacontenttype": "application/json"}
DATA = {"instances": [[1.5, 20], [8.25, 3]]}
PREDICT = "/v1/models/numbers:predict"
STRUCTURED = {"content-type": "application/cloudevents+json"}
EVENT = {"specversion": "1.0", "id": "1", "source": "tests", "type": "homes.asked"}


@pytest.fixture(scope="module")
def router(tmp_path_factory: pytest.TempPathFactory) -> Router:
    repository = small_models.opened(tmp_path_factory.mktemp("small"), rows_limit=100)
    return Router(Predictions(repository.find_ready).routes())


@pytest.fixture
async def client(router: Router) -> AsyncIterator[httpx.AsyncClient]:
    async with handler_transport.client(router) as opened:
        yield opened


@pytest.mark.parametrize("write", [to_structured, to_binary])
async def test_an_event_is_answered_by_one(client: httpx.AsyncClient, write: Any) -> None:
    expected = (await client.post(PREDICT, json=DATA)).json()
    headers, body = write(CloudEvent(ATTRIBUTES, DATA))
    answers = [
        from_http(dict(answer.headers), answer.content)
        for answer in [await client.post(PREDICT, content=body, headers=headers) for _ in "ab"]
    ]
    for event in answers:
        assert event.get_data() == expected
        assert event["type"] == "io.kserve.inference.response"
        assert event["source"] == "io.kserve.inference.numbers"
        assert event["datacontenttype" if write is to_structured else "specversion"]
    first, second = answers
    assert first["id"] != second["id"]


@pytest.mark.parametrize(
    "data",
    [
        {"data": DATA},
        {"data": DATA["instances"], "time": "2021-01-28T21:04:43Z", "other": 1},
        {"data": "area,age\n1.5,20\n8.25,3\n", "datacontenttype": "text/csv"},
        {"data_base64": base64.b64encode(json.dumps(DATA).encode()).decode()},
        {
            "data_base64": base64.b64encode(b"1.5,20\n8.25,3").decode(),
            "datacontenttype": "text/csv",
        },
    ],
)
async def test_data_comes_in_each_form(client: httpx.AsyncClient, data: dict[str, Any]) -> None:
    expected = (await client.post(PREDICT, json=DATA)).json()
    answer = await client.post(PREDICT, content=json.dumps(EVENT | data), headers=STRUCTURED)
    assert answer.headers["content-type"] == STRUCTURED["content-type"]
    assert answer.json()["data"] == expected


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"id": ""}, "the event has no id"),
        ({"specversion": "0.3"}, "the event's specversion is '0.3', not 1.0"),
        ({"type": 1}, "not a CloudEvent: Expected `str`, got `int` - at `$.type`"),
        ({"data_base64": "?"}, "the event's data_base64 is none"),
        ({}, "the event has neither data nor data_base64"),
        ({"data": {"instances": [[1.5, "old"]]}}, "row 1, feature 'age'"),
        ({"data": "area", "datacontenttype": "application/json"}, "list"),
        ({"data": "x", "datacontenttype": "image/png"}, "can't read Content-Type 'image/png'"),
    ],
)
async def test_what_is_wrong_is_told(
    client: httpx.AsyncClient, change: dict[str, Any], told: str
) -> None:
    answer = await client.post(PREDICT, content=json.dumps(EVENT | change), headers=STRUCTURED)
    assert answer.status_code in {400, 415}
    assert told in answer.json()["error"]


async def test_a_binary_event_is_whole(client: httpx.AsyncClient) -> None:
    headers, body = to_binary(CloudEvent(ATTRIBUTES, DATA))
    del headers["ce-source"]
    answer = await client.post(PREDICT, content=body, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (400, "the event has no source")
    refused = await client.post(PREDICT, content=b"{", headers=STRUCTURED)
    assert "the event is not JSON" in refused.json()["error"]
