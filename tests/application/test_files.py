"""CSV files through the pages, before an endpoint that answers as told."""

import asyncio
import csv
import io
from pathlib import Path

import httpx
import pytest
from starlette.responses import JSONResponse

from application.completion import REFUSALS_LIMIT
from application.settings import Settings
from application.site import create
from application.table import BATCH_LENGTH, ROW_LENGTH_LIMIT
from tests.application.asgi import ask
from tests.application.conftest import Connect
from tests.application.stand_in import ODD_NAMES, StandIn, busy

FILE = "/models/rooms/file"


def rows_of(response: httpx.Response) -> list[list[str]]:
    assert response.status_code == 200, response.text
    return list(csv.reader(io.StringIO(response.text)))


async def send(client: httpx.AsyncClient, text: str | bytes, address: str = FILE) -> httpx.Response:
    content = text.encode() if isinstance(text, str) else text
    headers = {"content-type": "text/csv", "accept": "application/json"}
    return await client.post(address, content=content, headers=headers)


async def test_predictions_are_added_and_problems_named(
    client: httpx.AsyncClient, endpoint: StandIn
) -> None:
    answer = await send(client, 'id,RM\n1,5\n2,six\n\n"a\nb",\n3,7,8\n4,8.5\n')
    assert rows_of(answer) == [
        ["id", "RM", "MEDV predicted", "problem"],
        ["1", "5", "24800.4", ""],
        ["2", "six", "", "row 3, RM: 'six' is not a number"],
        ["a\nb", "", "", "row 5, RM: is empty"],
        ["3", "7", "8", "", "row 6, 3 cells, where the first row has 2"],
        ["4", "8.5", "24800.4", ""],
    ]
    assert endpoint.rows == [[{"RM": "5.0"}, {"RM": "8.5"}]]
    assert answer.headers["content-disposition"] == 'attachment; filename="rooms-predicted.csv"'


async def test_a_part_counts_the_rows_of_the_file(client: httpx.AsyncClient) -> None:
    answer = await send(client, "RM\nsix\n", FILE + "?first=2002")
    assert rows_of(answer)[1][2] == "row 2002, RM: 'six' is not a number"
    assert (await send(client, "RM\n6\n", FILE + "?first=x")).status_code == 400


async def test_a_file_of_a_form_goes_in_batches(
    client: httpx.AsyncClient, endpoint: StandIn
) -> None:
    text = "\N{BYTE ORDER MARK}RM\r\n" + "6.5\r\n" * 2500
    answer = await client.post(FILE, files={"file": ("rooms.csv", text, "text/csv")})
    assert len(rows_of(answer)) == 2501
    assert [len(rows) for rows in endpoint.rows] == [1000, 1000, 500]


async def test_semicolons_and_commas_of_other_countries(
    client: httpx.AsyncClient, endpoint: StandIn
) -> None:
    answer = await send(client, "name;RM\nx;6,5\n")
    assert endpoint.rows == [[{"RM": "6.5"}]]
    assert answer.text == "name;RM;MEDV predicted;problem\r\nx;6,5;24800.4;\r\n"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "Missing there: RM."),
        ("6.5\n7\n", "Missing there: RM."),
        ("RM\n", "no rows"),
        (b"RM\n\xff\n", "not CSV in UTF-8"),
        ('RM\n"6.5\n', "not CSV in UTF-8"),
    ],
)
async def test_a_file_that_cant_be_read_is_told(
    client: httpx.AsyncClient, content: str | bytes, problem: str
) -> None:
    answer = await send(client, content)
    assert answer.status_code == 400
    assert problem in answer.json()["error"]


async def test_no_file_is_told_on_a_page(client: httpx.AsyncClient) -> None:
    answer = await client.post(FILE, files={"file": ("", "")})
    assert answer.status_code == 400
    assert "No file was chosen." in answer.text


async def test_the_end_of_a_file_that_cant_be_read_is_told_in_it(
    client: httpx.AsyncClient,
) -> None:
    answer = await send(client, "RM\n" + "6.5\n" * 1000 + '"')
    rows = rows_of(answer)
    assert len(rows) == 1002
    assert "not CSV in UTF-8" in rows[-1][-1]


async def test_a_row_that_the_endpoint_refuses_is_found(
    client: httpx.AsyncClient, endpoint: StandIn
) -> None:
    endpoint.highest = 8.5
    rows = rows_of(await send(client, "RM\n6\nsix\n9\n8\n1e39\n"))
    assert [row[1:] for row in rows[1:]] == [
        ["24800.4", ""],
        ["", "row 3, RM: 'six' is not a number"],
        ["", "row 4, RM: 9.0 is above 8.5, the highest float32 number"],
        ["24800.4", ""],
        ["", "row 6, RM: 1e+39 is above 8.5, the highest float32 number"],
    ]
    assert [len(asked) for asked in endpoint.rows] == [4, 3, 2]


async def test_a_batch_whose_every_row_is_refused_is_written(
    client: httpx.AsyncClient, endpoint: StandIn
) -> None:
    endpoint.highest = 8.5
    rows = rows_of(await send(client, "RM\n9\n10\n"))
    assert [row[2].partition(" is ")[0] for row in rows[1:]] == [
        "row 2, RM: 9.0",
        "row 3, RM: 10.0",
    ]


async def test_a_batch_of_rows_that_are_refused_costs_so_many_requests(
    client: httpx.AsyncClient, endpoint: StandIn
) -> None:
    endpoint.highest = 8.5
    rows = rows_of(await send(client, "RM\n" + "9\n" * 200 + "6\n"))
    assert len(endpoint.rows) == REFUSALS_LIMIT
    problems = [row[2].partition(" is above")[0].partition(", ")[2] for row in rows[1:]]
    unasked = ["not predicted, as 50 rows near it can't be used"]
    assert problems == ["RM: 9.0"] * REFUSALS_LIMIT + unasked * (201 - REFUSALS_LIMIT)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
async def test_names_with_marks_of_every_kind_are_told_of(
    client: httpx.AsyncClient, endpoint: StandIn, delimiter: str
) -> None:
    endpoint.highest = 8.5
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter).writerows(
        [
            ODD_NAMES,
            *([1, 2, 3], [9, 1, 1], [1, 9, 1], ["six", 1, 1], [1, "", "six"]),
        ]
    )
    address = "/models/odd/file"
    answer = await send(client, text.getvalue(), address)
    assert answer.status_code == 200, answer.text
    rows = list(csv.reader(io.StringIO(answer.text), delimiter=delimiter))
    assert [row[3:] for row in rows[1:]] == [
        ["24800.4", ""],
        ["", "row 3, driver's age: 9.0 is above 8.5, the highest float32 number"],
        ["", "row 4, a: b, feature 'x': 9.0 is above 8.5, the highest float32 number"],
        ["", "row 5, driver's age: 'six' is not a number"],
        ["", "row 6, a: b, feature 'x': is empty; say, \"y\", x: 'six' is not a number"],
    ]


async def test_too_many_rows_at_once_are_halved(
    client: httpx.AsyncClient, endpoint: StandIn
) -> None:
    endpoint.replies.append(JSONResponse({"error": "too long"}, 413))
    rows = rows_of(await send(client, "RM\n6\n7\n8\n"))
    assert [len(asked) for asked in endpoint.rows] == [3, 1, 2]
    assert [row[1] for row in rows[1:]] == ["24800.4"] * 3


async def test_an_endpoint_that_is_busy_is_told_so_that_it_can_go_on(
    client: httpx.AsyncClient, endpoint: StandIn
) -> None:
    endpoint.replies.append(busy("20"))
    answer = await send(client, "RM\n6\n")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "20")
    assert "too much to do" in answer.json()["error"]


async def test_what_is_lost_later_is_told_in_the_rows(
    client: httpx.AsyncClient, endpoint: StandIn
) -> None:
    endpoint.replies.append(JSONResponse({"predictions": [1.5] * 1000}))
    endpoint.replies.append(busy("20"))
    rows = rows_of(await send(client, "RM\n" + "6\n" * 2500))
    assert len(endpoint.rows) == 2
    assert [rows[1000][1], rows[1001][1]] == ["1.5", ""]
    assert rows[2500][2] == "row 2501, The model server has too much to do just now."


async def test_a_file_to_begin_with_names_what_has_marks(client: httpx.AsyncClient) -> None:
    example = await client.get("/models/odd/example.csv")
    rows = rows_of(await send(client, example.content, "/models/odd/file"))
    assert rows[0][:3] == ODD_NAMES
    assert rows[1] == ["1.0", "1.0", "1.0", "24800.4", ""]


async def test_a_file_to_begin_with_can_be_sent(client: httpx.AsyncClient) -> None:
    example = await client.get("/models/wine/example.csv")
    rows = rows_of(await send(client, example.content, "/models/wine/file"))
    assert rows == [
        ["alcohol", "sweet", "colour", "quality predicted", "problem"],
        ["10.4", "0.0", "red", "24800.4", ""],
    ]


@pytest.mark.parametrize(
    "text",
    [
        "RM" + "," * ROW_LENGTH_LIMIT + "\n6\n",
        "RM,note\n6," + "x" * ROW_LENGTH_LIMIT + "\n",
        "RM,a,b\n6" + (',"' + "\n" * 70_000 + '"') * 2 + "\n",
    ],
    ids=["header", "cell", "lines"],
)
async def test_a_row_is_so_long_at_most(client: httpx.AsyncClient, text: str) -> None:
    answer = await send(client, text)
    assert answer.status_code == 400
    assert answer.json()["error"] == "A row of the file is longer than 131,072 characters."


async def test_long_rows_go_in_small_batches(client: httpx.AsyncClient, endpoint: StandIn) -> None:
    row = "6," + "x" * (BATCH_LENGTH // 3) + "\n"
    assert len(rows_of(await send(client, "RM,note\n" + row * 7))) == 8
    assert [len(rows) for rows in endpoint.rows] == [3, 3, 1]


@pytest.mark.parametrize("line", ["six\n", "\n"])
async def test_others_go_on_though_nobody_is_waited_for(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    monkeypatch.setattr("application.table.BATCH_ROWS", 5)
    sending = asyncio.ensure_future(send(client, "RM\nsix\n" + line * 1000))
    n_turns = 0
    while not sending.done():
        await asyncio.sleep(0)
        n_turns += 1
    assert sending.result().status_code == 200
    assert n_turns > 200


async def test_an_answer_goes_in_small_pieces(endpoint: StandIn) -> None:
    app = create(Settings(), endpoint.transport())
    body = b"RM,note\n" + (b"6," + b"x" * 100_000 + b"\n") * 3
    answer = await ask(app, "POST", FILE, body=[body])
    assert len(answer.content) > 300_000
    assert max(map(len, answer.parts)) <= 64 * 1024


async def test_nothing_of_a_form_is_put_on_a_disk(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    text = "note,RM\n" + ("x" * 100_000 + ",6\n") * 20
    answer = await client.post(FILE, files={"file": ("rooms.csv", text)})
    assert len(rows_of(answer)) == 21


async def test_a_form_that_cant_be_read_is_told(client: httpx.AsyncClient) -> None:
    headers = {"content-type": "multipart/form-data"}
    answer = await client.post(FILE, content="RM\n6\n", headers=headers)
    assert answer.status_code == 400
    assert "The form can&#39;t be read: Missing boundary in multipart." in answer.text


async def test_a_file_over_the_limit_is_turned_away(connect: Connect, endpoint: StandIn) -> None:
    client = connect(upload_limit_bytes=1000)
    assert (await send(client, "RM\n" + "6\n" * 400)).status_code == 200
    answer = await send(client, "RM\n" + "6\n" * 600)
    assert answer.status_code == 413
    form = await client.post(FILE, files={"file": ("rooms.csv", "RM\n" + "6\n" * 600)})
    assert form.status_code == 413
    assert "longer than" in form.text
    assert len(endpoint.rows) == 1
