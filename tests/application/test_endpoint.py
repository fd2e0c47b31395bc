"""How the endpoint is asked: tokens, repetitions, what its silence means."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.responses import JSONResponse

from application.bearer import BearerFile
from application.catalogue import Catalogue
from application.endpoint import ANSWER_LIMIT_BYTES, TRIES, Endpoint, connect
from application.errors import Overloaded, Refused, Unexpected, UnknownModel
from tests.application.stand_in import StandIn, busy, refusal


@pytest.fixture
async def asked(endpoint: StandIn, tmp_path: Path) -> Endpoint:
    (tmp_path / "token").write_text("first\n")
    client = connect(
        "http://endpoint.test",
        5,
        auth=BearerFile(tmp_path / "token"),
        transport=endpoint.transport(),
    )
    return Endpoint(client, 5)


async def test_the_token_is_read_again_when_it_changes(
    asked: Endpoint, endpoint: StandIn, tmp_path: Path
) -> None:
    model = await asked.model("rooms")
    await asked.predict(model, [[6.5]])
    renewed = tmp_path / "renewed"
    renewed.write_text("second")
    renewed.replace(tmp_path / "token")
    await asked.predict(model, [[6.5]])
    assert [headers["authorization"] for headers in endpoint.headers] == [
        "Bearer first",
        "Bearer second",
    ]


async def test_a_missing_token_is_an_error_for_the_operator(
    asked: Endpoint, tmp_path: Path
) -> None:
    (tmp_path / "token").unlink()
    with pytest.raises(Unexpected) as caught:
        await asked.names()
    assert "token" in caught.value.detail


async def test_the_first_token_of_the_servers_own_file_is_sent(
    asked: Endpoint, endpoint: StandIn, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("# of the pages\n\n  one \nanother\n")
    await asked.predict(await asked.model("rooms"), [[6.5]])
    assert endpoint.headers[0]["authorization"] == "Bearer one"


@pytest.mark.parametrize("content", [b"", b"# none\n", b"\xff\n"])
async def test_a_file_without_a_token_is_an_error_for_the_operator(
    asked: Endpoint, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "token").write_bytes(content)
    with pytest.raises(Unexpected) as caught:
        await asked.names()
    assert "token can't be read" in caught.value.detail


async def test_a_long_answer_is_not_read_to_its_end() -> None:
    read: list[bytes] = []

    async def endless() -> AsyncIterator[bytes]:
        while len(read) < 100:
            read.append(b"[" * 1024**2)
            yield read[-1]

    async def respond(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=endless())

    client = connect("http://endpoint.test", 5, transport=httpx.MockTransport(respond))
    with pytest.raises(Unexpected) as caught:
        await Endpoint(client, 5).names()
    assert "more than" in caught.value.detail
    assert len(read) == ANSWER_LIMIT_BYTES // 1024**2 + 1


@pytest.mark.parametrize("value", [True, None, [1.5], {"a": 1}])
async def test_a_prediction_is_a_number_or_a_text(
    asked: Endpoint, endpoint: StandIn, value: Any
) -> None:
    model = await asked.model("rooms")
    endpoint.replies.append(JSONResponse({"predictions": [value]}))
    with pytest.raises(Unexpected):
        await asked.predict(model, [[6.5]])


async def test_it_is_asked_so_often_and_no_more(asked: Endpoint, endpoint: StandIn) -> None:
    model = await asked.model("rooms")
    endpoint.replies.extend(busy() for _ in range(10))
    with pytest.raises(Overloaded):
        await asked.predict(model, [[6.5]])
    assert len(endpoint.rows) == TRIES


async def test_a_refusal_names_row_and_feature(asked: Endpoint, endpoint: StandIn) -> None:
    model = await asked.model("rooms")
    endpoint.replies.append(refusal(2, "it's: a", "row 7, feature 'b': no:\nit is not"))
    with pytest.raises(Refused) as caught:
        await asked.predict(model, [[6.5], [7]])
    assert (caught.value.row, caught.value.feature) == (2, "it's: a")
    assert caught.value.problem == "row 7, feature 'b': no:\nit is not"


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ({"error": "row 1, feature 'RM': no"}, (None, None, "row 1, feature 'RM': no")),
        ({"error": "no", "row": 1}, (1, None, "no")),
        ({"error": "row 1: no", "row": 1}, (1, None, "no")),
        ({"error": "row 1: no", "row": 1, "feature": "RM", "more": 1}, (1, "RM", "no")),
        ({"error": "the header: no", "feature": "RM"}, (None, "RM", "the header: no")),
    ],
)
async def test_row_and_feature_are_what_the_members_say(
    asked: Endpoint, endpoint: StandIn, answer: dict[str, Any], told: tuple[Any, ...]
) -> None:
    model = await asked.model("rooms")
    endpoint.replies.append(JSONResponse(answer, 400))
    with pytest.raises(Refused) as caught:
        await asked.predict(model, [[6.5]])
    refused = caught.value
    assert (refused.row, refused.feature, refused.problem) == told


@pytest.mark.parametrize(
    "answer",
    [
        {},
        [],
        {"error": 1},
        *({"error": "no", "row": row} for row in ("x", 0, 2)),
        {"error": "no", "feature": 1},
    ],
)
async def test_a_refusal_without_sense_is_unexpected(
    asked: Endpoint, endpoint: StandIn, answer: Any
) -> None:
    model = await asked.model("rooms")
    endpoint.replies.append(JSONResponse(answer, 400))
    with pytest.raises(Unexpected):
        await asked.predict(model, [[6.5]])


async def test_a_name_is_no_path(asked: Endpoint) -> None:
    with pytest.raises(UnknownModel):
        await asked.model("../../v1/models/rooms")


async def test_a_model_is_asked_for_once(endpoint: StandIn) -> None:
    paths = []
    sound = endpoint.transport()

    async def count(request: httpx.Request) -> httpx.Response:
        paths.append(request.url.path)
        return await sound.handle_async_request(request)

    client = connect("http://endpoint.test", 5, transport=httpx.MockTransport(count))
    catalogue = Catalogue(Endpoint(client, 5))
    assert await catalogue.model("rooms") == await catalogue.model("rooms")
    assert await catalogue.names() == await catalogue.names() == ["grape", "odd", "rooms", "wine"]
    assert len(paths) == 2
