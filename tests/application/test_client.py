"""Who a request is counted for, and who is believed to say so."""

import pytest
from starlette.types import Message, Receive, Scope, Send

from application.client import Forwarded, networks, payer
from application.settings import Settings
from application.site import create
from tests.application.asgi import ask, scope
from tests.application.stand_in import StandIn

PROXIES = "10.1.0.0/16, fd00::/8"


async def passed_on(peer: str, *said: tuple[str, str], trusted: str = PROXIES) -> Scope:
    """Return the request that is passed on of one that a peer makes with such headers."""
    seen: list[Scope] = []

    async def app(scope: Scope, _: Receive, __: Send) -> None:
        seen.append(scope)

    async def nothing(*_: Message) -> Message:
        return {}

    headers = [(name.encode(), value.encode()) for name, value in said]
    begun = scope("GET", "/", b"", headers, peer)
    await Forwarded(app, networks(trusted))(begun, nothing, nothing)  # type: ignore[arg-type]
    return seen[0]


async def told(peer: str, *lines: str, trusted: str = PROXIES) -> str:
    """Return whom a request with such lines of ``X-Forwarded-For`` is counted for."""
    said = [("x-forwarded-for", line) for line in lines]
    return payer(await passed_on(peer, *said, trusted=trusted))


@pytest.mark.parametrize(
    ("peer", "lines", "client"),
    [
        ("10.1.0.1", [], "10.1.0.1"),
        ("10.1.0.1", ["203.0.113.7"], "203.0.113.7"),
        ("10.1.0.1", ["made up, 198.51.100.1, 203.0.113.7"], "203.0.113.7"),
        ("10.1.0.1", ["198.51.100.1", "203.0.113.7"], "203.0.113.7"),
        ("10.1.0.1", ["203.0.113.7, 10.1.2.3"], "203.0.113.7"),
        ("10.1.0.1", ["10.1.9.9, 10.1.2.3"], "10.1.9.9"),
        ("10.1.0.1", ["203.0.113.7, made up, 10.1.2.3"], "10.1.2.3"),
        ("10.1.0.1", ["made up"], "10.1.0.1"),
        ("10.1.0.1", [""], "10.1.0.1"),
        ("10.1.0.1", ["9" * 10_000], "10.1.0.1"),
        ("10.1.0.1", ["203.0.113.7:5678"], "203.0.113.7"),
        ("10.1.0.1", ["[2001:db8:1:2:3::4]:5678"], "2001:db8:1:2::/64"),
        ("10.1.0.1", ["2001:db8:1:2:9::"], "2001:db8:1:2::/64"),
        ("fd00::1", ["203.0.113.7"], "203.0.113.7"),
        ("::ffff:10.1.0.1", ["::ffff:203.0.113.7"], "203.0.113.7"),
        ("10.2.0.1", ["203.0.113.7"], "10.2.0.1"),
        ("2001:db8:1:2:3::4", ["203.0.113.7"], "2001:db8:1:2::/64"),
        ("fe80::1%eth0", ["203.0.113.7"], "fe80::/64"),
    ],
)
async def test_the_first_from_the_right_that_is_no_proxy_counts(
    peer: str, lines: list[str], client: str
) -> None:
    assert await told(peer, *lines) == client


async def test_by_default_nobody_is_believed() -> None:
    assert Settings().trusted_proxies == ""
    assert await told("127.0.0.1", "203.0.113.7", trusted="") == "127.0.0.1"


@pytest.mark.parametrize(
    "lines",
    [
        [b"a, 203.0.113.7", b"1.2.3.4, 203.0.113.7:99", b"203.0.113.7"],
        [b"2001:db8::", b"a, 2001:db8::1", b"[2001:db8:0:0:9::]:99"],
        [b"", b"made up", b"1.2.3.4, made up"],
    ],
)
async def test_a_client_is_limited_however_it_calls_itself(lines: list[bytes]) -> None:
    app = create(Settings(rate_limit=2, trusted_proxies="127.0.0.1"), StandIn().transport())
    said = [[(b"x-forwarded-for", line)] for line in [*lines, b"203.0.113.8"]]
    pages = [await ask(app, path="/about", headers=headers) for headers in said]
    assert [page.status for page in pages] == [200, 200, 429, 200]


@pytest.mark.parametrize(
    ("peer", "said", "scheme"),
    [
        ("10.1.0.1", "https", "https"),
        ("10.1.0.1", "http", "http"),
        ("10.1.0.1", "javascript", "http"),
        ("10.2.0.1", "https", "http"),
    ],
)
async def test_the_scheme_is_that_of_a_proxy(peer: str, said: str, scheme: str) -> None:
    assert (await passed_on(peer, ("x-forwarded-proto", said)))["scheme"] == scheme
