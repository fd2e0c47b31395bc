"""Connections are the model server's: no client, however odd, takes the pages from the others."""

import contextlib
import resource
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from harness.processes import DEADLINE_S, ApplicationProcess, until
from tests.application.stand_in import StandIn, busy
from tests.fresh_client import FreshClient
from tests.model_server.raw_connection import RawConnection

pytestmark = pytest.mark.slow

LIMIT = 40
GET = b"GET /healthz/live HTTP/1.1\r\nhost: x\r\n\r\n"
FILE = b"RM\n6\n7\n"
COMPLETED = b"RM,MEDV predicted,problem\r\n6,24800.4,\r\n7,24800.4,\r\n"
OFFER = (
    b"connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAEAAEAAAAIAAAAB\r\n"
)
CHUNKED = b"transfer-encoding: chunked\r\n"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with StandIn().listening() as address:
        yield address


@pytest.fixture(scope="module")
def application(
    endpoint: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ApplicationProcess]:
    log = tmp_path_factory.mktemp("connections") / "log"
    flags = ("--rate-limit", "0", "--connections-limit", str(LIMIT), "--drain-delay-s", "0")
    with ApplicationProcess(endpoint, *flags, log=log) as process:
        yield process
    assert "Traceback" not in log.read_text()


@pytest.fixture(scope="module")
def impatient(
    endpoint: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ApplicationProcess]:
    log = tmp_path_factory.mktemp("impatient") / "log"
    flags = ("--header-timeout-s", "0.5", "--upload-timeout-s", "0.5", "--drain-delay-s", "0")
    with ApplicationProcess(endpoint, *flags, log=log) as process:
        yield process


@pytest.fixture
def connection(application: ApplicationProcess) -> Iterator[RawConnection]:
    with RawConnection(application) as opened:
        yield opened


def upload(headers: bytes = b"", body: bytes = FILE, path: bytes = b"/models/rooms/file") -> bytes:
    length = b"" if CHUNKED in headers else b"content-length: %d\r\n" % len(body)
    head = b"POST %s HTTP/1.1\r\nhost: x\r\ncontent-type: text/csv\r\n%s%s\r\n"
    return head % (path, length, headers) + body


def check_it_answers(application: ApplicationProcess) -> None:
    """Ask it as another client, on a connection that is new, for a page and with a file."""
    for method, path in (("GET", "/about"), ("POST", "/models/rooms/file")):
        other = httpx.HTTPTransport(local_address="127.0.0.2")
        with httpx.Client(base_url=application.url, transport=other) as client:
            files = {"file": ("f.csv", FILE)} if method == "POST" else None
            answer = client.request(method, path, files=files)
        assert answer.status_code == 200
    assert answer.content == COMPLETED


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET / HTTP/1.1\r\nhost:",
        GET,
        GET + b"\r\n",
        upload(body=b"RM" * 9)[:-1],
        upload()[: -len(FILE)],
        upload(path=b"/nowhere")[: -len(FILE)],
    ],
    ids=["silent", "half a head", "idle", "a line more", "no end", "no body", "answered before"],
)
def test_connections_that_are_held_keep_nobody_out(
    application: ApplicationProcess, sent: bytes
) -> None:
    with contextlib.ExitStack() as stack:
        for number in range(3 * LIMIT):
            held = stack.enter_context(RawConnection(application))
            held.send(sent)
            if number % LIMIT == 0:
                check_it_answers(application)
        check_it_answers(application)


def test_files_may_be_open_for_all_connections(endpoint: str, tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    process = ApplicationProcess(endpoint, "--drain-delay-s", "0", log=tmp_path / "log")
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, hard))
    try:
        process.start()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    try:
        process.serving()
        assert resource.prlimit(process.process.pid, resource.RLIMIT_NOFILE)[0] > 1024
    finally:
        process.stop()


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"", None),
        (b"\r\n" * 9, 408),
        (b"GET / HTTP/1.1\r\nhost:", 408),
        (upload(path=b"/nowhere")[:-1], 404),
    ],
    ids=["silent", "lines", "half a head", "half a body that nobody wants"],
)
def test_who_says_nothing_more_is_let_go(
    impatient: ApplicationProcess, sent: bytes, status: int | None
) -> None:
    with RawConnection(impatient) as silent:
        silent.send(sent)
        if status is not None:
            assert silent.read()[0] == status
        assert silent.closed()


def test_an_upload_that_trickles_in_is_given_up(impatient: ApplicationProcess) -> None:
    with RawConnection(impatient) as slow:
        slow.send(upload(body=b"6\n" * 10**6)[: -2 * 10**6])

        def given_up() -> bool:
            slow.send(b"6\n")
            return slow.readable()

        until("an answer", given_up)
        status, headers, body = slow.read()
        assert (status, headers["connection"]) == (408, "close")
        assert b"longer than 0.5 seconds" in body
        assert slow.closed()


@pytest.mark.parametrize(
    ("headers", "body"),
    [(b"", FILE), (CHUNKED, b"3\r\nRM\n\r\n4\r\n6\n7\n\r\n0\r\n\r\n")],
    ids=["length", "chunked"],
)
def test_an_offer_to_upgrade_is_declined_and_the_file_read(
    connection: RawConnection, headers: bytes, body: bytes
) -> None:
    """Kludex/uvicorn#2722."""
    for _ in range(2):
        connection.send(upload(OFFER + headers, body) + GET)
        assert connection.read()[::2] == (200, COMPLETED)
        assert connection.read()[0] == 200


@pytest.mark.needs("curl")
def test_curl_offers_http_2_with_a_file(application: ApplicationProcess, tmp_path: Path) -> None:
    (tmp_path / "f.csv").write_bytes(FILE)
    command = ["curl", "--silent", "--show-error", "--http2", "--form", f"file=@{tmp_path}/f.csv"]
    command.append(f"{application.url}/models/rooms/file")
    done = subprocess.run(command, capture_output=True, timeout=DEADLINE_S, check=False)
    assert (done.returncode, done.stdout) == (0, COMPLETED), done.stderr


@pytest.mark.needs("java")
def test_java_offers_http_2_with_a_file(application: ApplicationProcess) -> None:
    source = Path(__file__).parent / "Upload.java"
    command = ["java", str(source), f"{application.url}/models/rooms/file"]
    done = subprocess.run(command, capture_output=True, timeout=DEADLINE_S, check=False)
    assert (done.returncode, done.stdout) == (0, COMPLETED), done.stderr


def test_what_is_sent_ahead_is_answered_in_order(connection: RawConnection) -> None:
    connection.send((GET + upload() + upload(path=b"/nowhere") + GET) * 25 + b"GARBAGE\r\n\r\n")
    for _ in range(25):
        assert [connection.read()[0] for _ in range(4)] == [200, 200, 404, 200]
    status, headers, _ = connection.read()
    assert (status, headers["connection"]) == (400, "close")
    assert connection.closed()


def test_garbage_in_a_body_is_told(connection: RawConnection) -> None:
    connection.send(upload(CHUNKED, b"3\r\nRM\n\r\nnone\r\n"))
    assert connection.read()[0] == 400
    assert connection.closed()


def test_a_file_that_ends_too_soon_is_told(connection: RawConnection) -> None:
    connection.send(upload()[:-1])
    connection.shut_down(socket.SHUT_WR)
    assert connection.read()[0] == 400
    assert connection.closed()


def test_who_is_turned_away_before_all_is_sent_may_ask_again(connection: RawConnection) -> None:
    foreign = upload(b"origin: http://elsewhere\r\n", b"6\n" * 10**6)
    connection.send(foreign[:-1])
    assert connection.read()[0] == 403
    connection.send(foreign[-1:] + upload())
    assert connection.read()[::2] == (200, COMPLETED)


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("GET / HTTP/1.1\n\n", 400),
        ("GET / HTTP/1.1\nhost: x\nhost: y\n\n", 400),
        ("GET /about HTTP/1.0\n\n", 200),
        ("GET /about HTTP/1.1\nhost: x\nx: " + "x" * 40_000 + "\n\n", 431),
        ("POST / HTTP/1.1\nhost: x\ntransfer-encoding: gzip, chunked\n\n0\n\n", 501),
        ("POST / HTTP/1.1\nhost: x\ncontent-length: 1\ntransfer-encoding: chunked\n\n", 400),
        ("CONNECT x:1 HTTP/1.1\nhost: x\n\n", 405),
        ("PRI * HTTP/2.0\n\nSM\n\n", 400),
    ],
)
def test_heads(connection: RawConnection, head: str, status: int) -> None:
    connection.send(head.replace("\n", "\r\n").encode())
    connection.shut_down(socket.SHUT_WR)
    assert connection.read()[0] == status
    assert connection.closed()


def test_a_head_is_answered_as_a_get_without_its_body(connection: RawConnection) -> None:
    for path in (b"/", b"/about", b"/healthz/live", b"/static/x/page.css"):
        connection.send(GET.replace(b"/healthz/live", path))
        got = connection.read()
        connection.send(GET.replace(b"/healthz/live", path).replace(b"GET", b"HEAD"))
        status, headers = connection.read_head()
        assert (status, headers["content-length"]) == (200, str(len(got[2])))


def test_what_is_not_modified_has_no_length(connection: RawConnection) -> None:
    """RFC 9110, 8.6: it would be that of the file."""
    head = GET.replace(b"/healthz/live", b"/static/x/page.css")
    connection.send(head)
    tag = connection.read()[1]["etag"].encode()
    connection.send(head.replace(b"host: x", b"host: x\r\nif-none-match: " + tag))
    status, headers = connection.read_head()
    assert status == 304
    assert "content-length" not in headers


def test_a_client_of_http_1_0_reads_a_file_to_the_end(connection: RawConnection) -> None:
    connection.send(upload().replace(b"HTTP/1.1", b"HTTP/1.0"))
    status, headers = connection.read_head()
    assert (status, headers["connection"]) == (200, "close")
    assert "transfer-encoding" not in headers
    assert connection.rest() == COMPLETED


def test_a_stop_under_fresh_connections_loses_nothing(endpoint: str, tmp_path: Path) -> None:
    with ApplicationProcess(
        endpoint, "--rate-limit", "0", "--drain-delay-s", "0.2", log=tmp_path / "log"
    ) as application:
        port = int(application.url.rpartition(":")[2])
        clients = [FreshClient(port, "/about") for _ in range(4)]
        for client in clients:
            client.start()
        until("all are answered", lambda: all(client.answered > 5 for client in clients))
        assert application.stop() == 0
        for client in clients:
            client.join(DEADLINE_S)
    assert {client.ended for client in clients} == {ConnectionRefusedError}


def test_a_stop_waits_for_a_file_that_comes_in(endpoint: str, tmp_path: Path) -> None:
    with (
        ApplicationProcess(endpoint, "--drain-delay-s", "0", log=tmp_path / "log") as application,
        RawConnection(application) as sending,
    ):
        sending.send(upload()[:-1])
        check_it_answers(application)
        application.process.send_signal(signal.SIGTERM)
        until("it stops", lambda: "stopping" in application.log.read_text())
        sending.send(FILE[-1:])
        status, headers, body = sending.read()
        assert (status, headers["connection"], body) == (200, "close", COMPLETED)
        assert application.process.wait(DEADLINE_S) == 0


def test_what_is_worked_on_for_a_client_that_goes_is_given_up(tmp_path: Path) -> None:
    endpoint = StandIn()
    endpoint.replies.extend((busy("1"), busy("2")))
    with (
        endpoint.listening() as address,
        ApplicationProcess(
            address, "--drain-delay-s", "0", "--timeout-s", "60", log=tmp_path / "log"
        ) as application,
        RawConnection(application) as leaving,
    ):
        leaving.send(GET.replace(b"/healthz/live", b"/models/rooms/answer?RM=7"))
        until("the endpoint is asked", lambda: bool(endpoint.rows))
        leaving.reset()
        assert application.client.get("/models/rooms/answer?RM=8").status_code == 200
    assert [rows[0]["RM"] for rows in endpoint.rows] == ["7.0", "8.0", "8.0"]
    assert "Traceback" not in application.log.read_text()
