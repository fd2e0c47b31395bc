"""The pages before an endpoint that answers as told: what is asked, and how it is put."""

import html
import re

import httpx
import pytest
from starlette.responses import Response

from tests.application.conftest import Connect
from tests.application.stand_in import ODD_NAMES, StandIn, busy, refusal


def words(page: str) -> str:
    """Return the text of a page, with single spaces."""
    return " ".join(re.sub(r"<[^>]+>", " ", page).split()).replace(" .", ".")


async def test_the_front_page_says_the_value_of_the_median(
    client: httpx.AsyncClient, endpoint: StandIn
) -> None:
    page = await client.get("/")
    assert page.status_code == 200
    assert endpoint.rows == [[{"RM": "6.2085"}]]
    assert (
        'name="RM" type="text" inputmode="decimal" autocomplete="off" required value="6.2085"'
        in (page.text)
    )
    assert "About $24,800 Nine in ten such areas lie between $18,900 and $30,700." in words(
        page.text
    )
    assert '<data value="24800.4">' in page.text
    assert page.headers["cache-control"] == "no-store"


async def test_the_answer_is_a_part_of_the_page(client: httpx.AsyncClient) -> None:
    page, part = await client.get("/?RM=7"), await client.get("/models/rooms/answer?RM=7")
    assert part.text.startswith("<div data-part")
    assert part.text.strip() in page.text


async def test_it_sits_among_the_areas(client: httpx.AsyncClient) -> None:
    text = (await client.get("/?RM=7")).text
    assert "More than 374 of the 506 areas." in text
    assert text.count("h0") == 506
    assert "have 6.75 to 7.25 rooms" in text
    assert "have 5.96 to 6.46 rooms" in (await client.get("/")).text


async def test_outside_the_data_is_said(client: httpx.AsyncClient) -> None:
    inside, outside = [(await client.get(f"/?RM={rooms}")).text for rooms in (8.78, 8.79)]
    assert "No such area was in the data" not in inside
    assert "No such area was in the data, where the average number of rooms" in outside
    assert "goes from 3.561 to 8.78" in outside


@pytest.mark.parametrize(
    ("language", "amount"),
    [
        ("en-US", "$24,800"),
        ("de", "24.800\N{NO-BREAK SPACE}$"),
        ("fr-FR;q=0.5, de-CH", "$\N{NO-BREAK SPACE}24\N{RIGHT SINGLE QUOTATION MARK}800"),
        ("xx, *;q=x", "$24,800"),
    ],
)
async def test_numbers_are_those_of_the_reader(
    client: httpx.AsyncClient, language: str, amount: str
) -> None:
    page = await client.get("/", headers={"accept-language": language})
    assert f">{amount}</data>" in page.text
    assert page.headers["vary"].startswith("accept-language")


async def test_a_comma_is_read_and_shown_as_typed(
    client: httpx.AsyncClient, endpoint: StandIn
) -> None:
    page = await client.get("/?RM=6,5", headers={"accept-language": "de"})
    assert endpoint.rows == [[{"RM": "6.5"}]]
    assert 'value="6,5"' in page.text


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        ("six", "'six' is not a number"),
        ("", "is empty"),
        ("nan", "nan is not a finite number"),
        ("1_0", "'1_0' is not a number"),
        ("<b>", "'<b>' is not a number"),
    ],
)
async def test_bad_input_is_explained_at_its_field_and_kept(
    client: httpx.AsyncClient, endpoint: StandIn, typed: str, problem: str
) -> None:
    page = await client.get("/", params={"RM": typed})
    assert page.status_code == 400
    assert endpoint.rows == []
    escaped = problem.replace("'", "&#39;").replace("<", "&lt;").replace(">", "&gt;")
    assert f'id="RM-problem">{escaped}</p>' in page.text
    assert 'aria-invalid="true"' in page.text
    assert "<b>" not in page.text


async def test_what_the_endpoint_refuses_stands_at_its_field(
    client: httpx.AsyncClient, endpoint: StandIn
) -> None:
    endpoint.replies.append(refusal(1, "alcohol", "99 is too strong"))
    page = await client.get("/models/wine?alcohol=99")
    assert page.status_code == 400
    assert 'id="alcohol-problem">99 is too strong</p>' in page.text


@pytest.mark.parametrize("name", ODD_NAMES)
@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        ("9", "9.0 is above 8.5, the highest float32 number"),
        ("six", "'six' is not a number"),
    ],
)
async def test_a_name_with_marks_of_every_kind_is_marked(
    client: httpx.AsyncClient, endpoint: StandIn, name: str, typed: str, problem: str
) -> None:
    endpoint.highest = 8.5
    page = await client.get("/models/odd", params={name: typed})
    assert page.status_code == 400
    [place] = re.findall(r'<input id="([^" ]+)"[^>]* aria-invalid="true"', page.text)
    problems = re.findall(r'<p class="problem" id="([^"]+)">([^<]+)</p>', page.text)
    assert [(at, html.unescape(text)) for at, text in problems] == [(f"{place}-problem", problem)]
    assert f'<a href="#{place}" data-problem=' in page.text
    assert f"{name[0].upper()}{name[1:]}: {problem}" in html.unescape(page.text)


async def test_any_model_gets_a_form(client: httpx.AsyncClient, endpoint: StandIn) -> None:
    endpoint.value = 6.25
    page = await client.get("/models/wine?colour=white&sweet=1")
    assert endpoint.rows == [[{"alcohol": "10.4", "sweet": "1.0", "colour": "white"}]]
    assert "<legend>Numbers</legend>" in page.text
    assert "<legend>Choices</legend>" in page.text
    assert '<option value="white" selected>white</option>' in page.text
    assert '<option value="1" selected>Yes</option>' in page.text
    assert "95 in a hundred such cases lie between 5.25 and 7.5." in page.text
    assert "1970" not in page.text


async def test_a_class_is_told_as_likely(client: httpx.AsyncClient, endpoint: StandIn) -> None:
    endpoint.value = "merlot"
    page = await client.get("/models/grape")
    assert "Likely merlot" in words(page.text)
    assert "<svg" not in page.text


async def test_overloaded_then_fine_is_told(client: httpx.AsyncClient, endpoint: StandIn) -> None:
    endpoint.replies.extend([busy(), busy()])
    page = await client.get("/?RM=7")
    assert page.status_code == 200
    assert len(endpoint.rows) == 3
    assert "The model server was busy; it was asked 3 times." in page.text


async def test_overloaded_for_long_is_told_and_nothing_is_lost(
    client: httpx.AsyncClient, endpoint: StandIn
) -> None:
    endpoint.replies.append(busy("30"))
    page = await client.get("/?RM=7.25")
    assert (page.status_code, page.headers["retry-after"]) == (503, "30")
    assert len(endpoint.rows) == 1
    assert "has too much to do just now. It is worth to try again in 30 seconds." in words(
        page.text
    )
    assert 'value="7.25"' in page.text
    assert 'href="/?RM=7.25"' in page.text


async def test_a_slow_endpoint_is_not_waited_for(connect: Connect) -> None:
    async def late(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("late", request=request)

    page = await connect(httpx.MockTransport(late), timeout_s=0.5).get("/?RM=7")
    assert page.status_code == 504
    assert "took longer than 0.5 seconds" in page.text


async def test_an_endpoint_that_is_down_is_told(connect: Connect) -> None:
    asked = []

    async def down(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        raise httpx.ConnectError("refused", request=request)

    page = await connect(httpx.MockTransport(down)).get("/?RM=7")
    assert page.status_code == 503
    assert asked.count("/v1/models/rooms/schema") == 4
    assert "can&#39;t be reached" in page.text
    assert 'href="/?RM=7"' in page.text


async def test_an_endpoint_that_goes_down_leaves_the_form(
    connect: Connect, endpoint: StandIn
) -> None:
    sound = endpoint.transport()

    async def no_predictions(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            raise httpx.ConnectError("refused", request=request)
        return await sound.handle_async_request(request)

    page = await connect(httpx.MockTransport(no_predictions)).get("/?RM=7.25")
    assert page.status_code == 503
    assert 'value="7.25"' in page.text
    assert "What you typed is kept." in page.text


@pytest.mark.parametrize("content", ["<html>", "[]", '{"predictions": []}', '{"predictions": 1}'])
async def test_an_answer_without_sense_is_a_bad_gateway(
    client: httpx.AsyncClient, endpoint: StandIn, content: str
) -> None:
    endpoint.replies.append(Response(content))
    page = await client.get("/")
    assert page.status_code == 502


async def test_an_unknown_model_or_page_is_not_found(client: httpx.AsyncClient) -> None:
    for address in ("/models/none", "/models/none/file", "/none"):
        page = await client.get(address)
        assert page.status_code == 404
        assert page.headers["content-type"].startswith("text/html")
    assert (await client.get("/models/none", headers={"accept": "*/*"})).json() == {
        "error": "There is no model named 'none' here."
    }


async def test_health_does_not_ask_the_endpoint(connect: Connect) -> None:
    async def down(request: httpx.Request) -> httpx.Response:
        raise AssertionError(request.url)

    client = connect(httpx.MockTransport(down))
    for address in ("/healthz/live", "/healthz/ready", "/offline", "/service-worker.js"):
        assert (await client.get(address)).status_code == 200


async def test_about_says_what_the_data_are(connect: Connect) -> None:
    page = await connect(report_url="https://reports.test/").get("/about")
    assert "built on race" in page.text
    assert 'href="https://reports.test/"' in page.text
    assert "Median home value from the rooms alone." in page.text
