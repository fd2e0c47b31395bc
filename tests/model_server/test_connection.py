"""One connection, as HTTP/1.1 has it (RFC 9110 and RFC 9112), and as its clients use it."""

import json
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.processes import DEADLINE_S, ServerProcess
from tests.model_server.raw_connection import GOOD, RawConnection, request

pytestmark = pytest.mark.slow

GET = b"GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n"
BODY = b'{"instances": [[6.5]]}'


@pytest.fixture
def connection(server: ServerProcess) -> Iterator[RawConnection]:
    with RawConnection(server) as opened:
        yield opened


def sent(lines: str, body: bytes = BODY) -> bytes:
    """Write a prediction with some more header lines, and the end of each line as it has to be."""
    head = "POST /v1/models/rooms:predict HTTP/1.1\nhost: x\ncontent-type: application/json\n"
    return (head + lines + "\n").replace("\n", "\r\n").encode() + body


def test_an_offer_to_upgrade_is_declined_and_the_body_read(connection: RawConnection) -> None:
    """As `curl --http2` and Java's HttpClient offer HTTP/2 with every first request."""
    offer = "connection: Upgrade, HTTP2-Settings\nupgrade: h2c\nhttp2-settings: AAEAAEAAAAIAAAAB\n"
    for framing, body in (
        ("content-length: 22\n", BODY),
        ("transfer-encoding: chunked\n", b"16\r\n" + BODY + b"\r\n0\r\n\r\n"),
    ):
        connection.send(sent(offer + framing, body))
        assert connection.read()[0] == 200
    connection.send(GET.replace(b"host: x", b"host: x\r\nconnection: upgrade\r\nupgrade: h2c"))
    assert connection.read()[0] == 200
    connection.send(GOOD)
    assert connection.read()[0] == 200


@pytest.mark.needs("java")
def test_java_s_own_client_gets_a_prediction(server: ServerProcess) -> None:
    source = Path(__file__).parent / "Predict.java"
    done = subprocess.run(
        ["java", str(source), f"{server.url}/v1/models/rooms:predict"],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [line.partition(" {")[0] for line in done.stdout.splitlines()] == ["200 HTTP_1_1"] * 3


def test_what_is_sent_ahead_is_answered_in_order(connection: RawConnection) -> None:
    rows = [4.5, 6.5, 8.5]
    connection.send(b"".join(request(f'{{"instances": [[{row}]]}}'.encode()) for row in rows) + GET)
    answers = [json.loads(connection.read()[2]) for _ in range(4)]
    numbers = [answer["predictions"][0] for answer in answers[:3]]
    assert numbers == sorted(numbers)
    assert len(set(numbers)) == 3
    assert answers[3] == {"models": ["boston", "rooms"]}


def test_a_thousand_are_sent_ahead(connection: RawConnection) -> None:
    connection.send(GET * 1000)
    assert [connection.read()[0] for _ in range(1000)] == [200] * 1000


def test_a_request_before_garbage_gets_its_answer(connection: RawConnection) -> None:
    connection.send(GOOD + b"GARBAGE\r\n\r\n" + b"x" * 100_000)
    assert connection.read()[0] == 200
    status, headers, _ = connection.read()
    assert (status, headers["connection"]) == (400, "close")
    assert connection.closed()


def test_a_client_that_closes_its_half_is_answered(connection: RawConnection) -> None:
    connection.send(GOOD)
    connection.shut_down(socket.SHUT_WR)
    assert connection.read()[0] == 200
    assert connection.closed()


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("GET /v1/models HTTP/1.1\n\n", 400),
        ("GET /v1/models HTTP/1.1\nhost: x\nhost: y\n\n", 400),
        ("GET /v1/models HTTP/1.0\n\n", 200),
        ("GET /v1/models HTTP/0.9\n\n", 400),
        ("GET /v1/models\n\n", 400),
        ("GET http://elsewhere/v1/models?x=1 HTTP/1.1\nhost: x\n\n", 200),
        ("GET /v1%2Fmodels HTTP/1.1\nhost: x\n\n", 200),
        ("OPTIONS * HTTP/1.1\nhost: x\n\n", 404),
        ("CONNECT x:1 HTTP/1.1\nhost: x\n\n", 405),
        ("PRI * HTTP/2.0\n\nSM\n\n", 400),
        (
            "POST / HTTP/1.1\nhost: x\ntransfer-encoding: gzip, chunked\n\n",
            501,
        ),
        ("POST / HTTP/1.1\nhost: x\ntransfer-encoding: gzip\n\n", 501),
    ],
)
def test_heads(connection: RawConnection, head: str, status: int) -> None:
    connection.send(head.replace("\n", "\r\n").encode())
    connection.shut_down(socket.SHUT_WR)
    assert connection.read()[0] == status
    assert connection.closed()  # and nothing more is said


def test_a_head_is_answered_as_a_get_without_its_body(connection: RawConnection) -> None:
    for path in (b"/v1/models", b"/v2/health/live", b"/v1/models/rooms/schema", b"/metrics"):
        connection.send(GET.replace(b"/v1/models", path))
        got = connection.read()
        connection.send(GET.replace(b"/v1/models", path).replace(b"GET", b"HEAD"))
        status, headers = connection.read_head()
        assert (status, headers["content-type"]) == (200, got[1]["content-type"])
        assert int(headers["content-length"]) > 0


@pytest.mark.parametrize("accept", ["text/csv, application/json;q=0.1", "application/json;q=0.1"])
def test_several_lines_of_a_list_are_one_list(connection: RawConnection, accept: str) -> None:
    connection.send(sent(f"content-length: 22\naccept: {accept}\naccept: text/csv\n"))
    assert connection.read()[1]["content-type"] == "text/csv"


def test_a_client_that_waits_is_told_to_send(connection: RawConnection) -> None:
    connection.send(sent("content-length: 22\nexpect: 100-continue\n", b""))
    assert connection.read_head()[0] == 100
    connection.send(BODY)
    assert connection.read()[0] == 200


def test_a_client_that_waits_in_vain_is_told_at_once(connection: RawConnection) -> None:
    connection.send(sent("content-length: 100000000\nexpect: 100-continue\n", b""))
    status, headers, _ = connection.read()
    assert (status, headers["connection"]) == (413, "close")
    assert connection.closed()


def test_a_client_of_http_1_0_is_kept_where_it_asks_for_it(connection: RawConnection) -> None:
    old = GET.replace(b"HTTP/1.1", b"HTTP/1.0").replace(b"host: x", b"connection: keep-alive")
    for _ in range(2):
        connection.send(old)
        assert connection.read()[1]["connection"] == "keep-alive"
    connection.send(GET.replace(b"HTTP/1.1", b"HTTP/1.0"))
    assert connection.read()[1]["connection"] == "close"
    assert connection.closed()


def test_a_trailer_is_no_header(tmp_path: Path, models: Path) -> None:
    (tmp_path / "tokens").write_text("secret\n")
    flags = ("--token-file", str(tmp_path / "tokens"))
    with (
        ServerProcess(models, *flags, log=tmp_path / "log") as guarded,
        RawConnection(guarded) as client,
    ):
        body = b"16\r\n" + BODY + b"\r\n0\r\nauthorization: Bearer secret\r\n\r\n"
        client.send(sent("transfer-encoding: chunked\n", body))
        assert client.read()[0] == 401
