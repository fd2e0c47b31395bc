"""The application takes for a number what the model server and the training do."""

import csv
import io
import re

import httpx
import pytest

from tests.application.stand_in import StandIn
from tests.number_cases import EMPTY, GROUPED, NO_NUMBERS, NOT_FINITE, NUMBERS

REFUSED = [*NOT_FINITE, *NO_NUMBERS, *EMPTY]


def file(texts: list[str], delimiter: str) -> str:
    lines = io.StringIO()
    writer = csv.writer(lines, delimiter=delimiter)
    writer.writerows([["note", "RM"], *(["", text] for text in texts)])
    return lines.getvalue()


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize(("text", "value"), NUMBERS.items())
async def test_a_number_in_the_form_is_asked_with(
    client: httpx.AsyncClient, endpoint: StandIn, text: str, value: float, language: str
) -> None:
    page = await client.get("/", params={"RM": text}, headers={"accept-language": language})
    assert page.status_code == 200
    [[row]] = endpoint.rows
    assert float(row["RM"]) == value


@pytest.mark.parametrize("text", REFUSED)
async def test_the_form_marks_what_is_none(
    client: httpx.AsyncClient, endpoint: StandIn, text: str
) -> None:
    page = await client.get("/", params={"RM": text})
    assert page.status_code == 400
    assert endpoint.rows == []
    assert re.search(r'id="RM-problem">[^<]+</p>', page.text)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
async def test_numbers_in_a_file_are_asked_with(
    client: httpx.AsyncClient, endpoint: StandIn, delimiter: str
) -> None:
    content = file(list(NUMBERS), delimiter)
    answer = await client.post("/models/rooms/file", content=content.encode())
    assert answer.status_code == 200
    [rows] = endpoint.rows
    assert [float(row["RM"]) for row in rows] == list(NUMBERS.values())


@pytest.mark.parametrize("delimiter", [",", "\t"])
async def test_a_file_is_told_what_is_none_as_the_server_tells_it(
    client: httpx.AsyncClient, endpoint: StandIn, delimiter: str
) -> None:
    content = file([*REFUSED, *GROUPED], delimiter)
    answer = await client.post("/models/rooms/file", content=content.encode())
    assert answer.status_code == 200
    assert endpoint.rows == []
    told = list(csv.reader(io.StringIO(answer.text, newline=""), delimiter=delimiter))[1:]
    assert [row[3].split("RM: ")[-1].split(" is ")[-1] for row in told] == [
        *["not a finite number"] * len(NOT_FINITE),
        *["not a number"] * len(NO_NUMBERS),
        *["is empty"] * len(EMPTY),
        *["not a number"] * len(GROUPED),
    ]


@pytest.mark.parametrize("text", GROUPED)
async def test_the_form_takes_groups_of_thousands(
    client: httpx.AsyncClient, endpoint: StandIn, text: str
) -> None:
    page = await client.get("/", params={"RM": text})
    assert page.status_code == 200
    assert endpoint.rows[0][0]["RM"] in {"1234.0", "1234.5"}


@pytest.mark.parametrize("text", [*REFUSED, *GROUPED])
async def test_the_server_words_it_so_too(
    client: httpx.AsyncClient, endpoint: StandIn, text: str
) -> None:
    """The page's words for a cell are those of the server for the same cell."""
    lines = io.StringIO()
    csv.writer(lines).writerows([["RM"], [text]])
    server = httpx.AsyncClient(transport=endpoint.transport(), base_url="http://endpoint.test")
    answer = await server.post("/v1/models/rooms:predict", content=lines.getvalue().encode())
    told = answer.json()
    await server.aclose()
    page = await client.post("/models/rooms/file", content=file([text], ",").encode())
    [row] = list(csv.reader(io.StringIO(page.text, newline="")))[1:]
    assert row[3] == told["error"].replace("row 1, feature 'RM'", "row 2, RM")
