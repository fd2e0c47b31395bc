"""What stands before the pages."""

import httpx
import pytest

from tests.application.conftest import Connect
from tests.application.stand_in import StandIn

CSV = {"content-type": "text/csv"}


async def test_the_browser_is_told_what_pages_never_do(client: httpx.AsyncClient) -> None:
    for address in ("/", "/nope", "/static/x/page.css", "/healthz/live"):
        headers = (await client.get(address)).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert "geolocation=()" in headers["permissions-policy"]


async def test_only_https_is_told_to_stay_so(connect: Connect) -> None:
    client = connect()
    assert "strict-transport-security" not in (await client.get("/about")).headers
    secure = await client.get("https://application.test/about")
    assert "max-age" in secure.headers["strict-transport-security"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"origin": "http://application.test"}, 200),
        ({"origin": "http://evil.test"}, 403),
        ({"origin": "null"}, 403),
    ],
)
async def test_a_form_of_another_site_is_turned_away(
    client: httpx.AsyncClient, headers: dict[str, str], status: int
) -> None:
    answer = await client.post("/models/rooms/file", content="RM\n6\n", headers=CSV | headers)
    assert answer.status_code == status


async def test_a_client_may_ask_so_often(connect: Connect, endpoint: StandIn) -> None:
    client = connect(rate_limit=3)
    statuses = [(await client.get("/models/rooms/answer")).status_code for _ in range(4)]
    assert statuses == [200, 200, 200, 429]
    turned_away = await client.get("/models/rooms/answer")
    assert 1 <= int(turned_away.headers["retry-after"]) <= 20
    assert len(endpoint.rows) == 3
    assert (await client.get("/healthz/live")).status_code == 200


async def test_any_number_of_requests(connect: Connect) -> None:
    client = connect(rate_limit=0)
    assert {(await client.get("/about")).status_code for _ in range(20)} == {200}
