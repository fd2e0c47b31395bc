"""What a client may send, how long it may take, and how much is taken on at a time."""

import contextlib
import gzip
import json
import re
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from harness.processes import ServerProcess, until
from tests.model_server import slow_model
from tests.model_server.counted import metric, rejected
from tests.model_server.raw_connection import GOOD, RawConnection, request

pytestmark = pytest.mark.slow

PREDICT = "/v1/models/slow:predict"


@pytest.fixture(scope="module")
def slow_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    models = tmp_path_factory.mktemp("slow") / "models"
    slow_model.write(models, slow_model.Sleeper())
    return models


@contextlib.contextmanager
def busy(server: ServerProcess, n_requests: int, seconds: float) -> Iterator[list[RawConnection]]:
    """Keep requests in flight that take so long."""
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(RawConnection(server)) for _ in range(n_requests)]
        for client in clients:
            client.send(request(f'{{"instances": [[{seconds}]]}}'.encode(), PREDICT))
        until(
            "they are in flight",
            lambda: metric(server, "model_server_requests_in_flight") == n_requests,
        )
        yield clients


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /v1/models HTTP/1.1\r\nhost: x\r\nx: " + b"y" * 40_000, 431),
        (b"GET /" + b"y" * 300_000, 431),
        (b"GET /v1/models HTTP/1.1\r\n" + b"x: y\r\n" * 10_000, 431),
        (b"NONSENSE\r\n\r\n", 400),
        (b"POST /v1/models/rooms:predict HTTP/1.1\r\ncontent-length: x\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"GET /\x00 HTTP/1.1\r\n\r\n", 400),
    ],
)
def test_bad_heads_are_refused(server: ServerProcess, head: bytes, status: int) -> None:
    with RawConnection(server) as client:
        client.send(head)
        answer = client.read()
        assert answer[0] == status
        assert answer[1]["connection"] == "close"
        assert "error" in json.loads(answer[2])
        assert client.closed()


def test_a_large_header_within_the_limit_is_read(server: ServerProcess) -> None:
    with RawConnection(server) as client:
        client.send(request(b'{"instances": [[6.5]]}', headers=b"x: " + b"y" * 30_000 + b"\r\n"))
        assert client.read()[0] == 200


def test_endless_trailers_are_cut_off(models: Path, tmp_path: Path) -> None:
    flags = ("--body-limit-bytes", "100000")
    with (
        ServerProcess(models, *flags, log=tmp_path / "log") as server,
        RawConnection(server) as client,
    ):
        client.send(
            b"POST /v1/models/rooms:predict HTTP/1.1\r\nhost: x\r\n"
            b"transfer-encoding: chunked\r\n\r\n0\r\n"
        )
        with contextlib.suppress(OSError):
            for _ in range(1000):
                client.send(b"x: y\r\n" * 1000)
        until("it is refused", lambda: rejected(server, "body") == 1)


@pytest.mark.parametrize("depth", [10, 500, 5000, 100_000])
@pytest.mark.parametrize("path", ["/v1/models/rooms:predict", "/v2/models/rooms/infer"])
def test_deep_json_is_refused(server: ServerProcess, path: str, depth: int) -> None:
    nested = "[" * depth + "6.5" + "]" * depth
    for body in (
        f'{{"instances": {nested}}}',
        f'{{"instances": [[6.5]], "x": {nested}}}' if depth > 1024 else nested,
        f'{{"inputs": [{{"name": "RM", "shape": [1, 1], "datatype": "FP64", "data": {nested}}}]}}',
    ):
        answer = server.client.post(
            path, content=body, headers={"content-type": "application/json"}
        )
        assert answer.status_code == 400 or (path.startswith("/v2") and depth == 10), answer.text


def test_too_many_rows(models: Path, tmp_path: Path) -> None:
    with ServerProcess(models, "--rows-limit", "3", log=tmp_path / "log") as server:
        assert server.predict("rooms", "6\n6\n6\n", "text/csv").status_code == 200
        answer = server.predict("rooms", "6\n6\n6\n6\n", "text/csv")
        assert answer.status_code == 413
        assert answer.json() == {"error": "the body has 4 rows; send at most 3"}


def test_a_compressed_body_is_no_way_around(server: ServerProcess) -> None:
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    bomb = gzip.compress(b" " * 10**7)
    answer = server.client.post("/v1/models/rooms:predict", content=bomb, headers=headers)
    assert answer.status_code == 413


def test_slow_senders_are_cut_off_and_others_are_not(models: Path, tmp_path: Path) -> None:
    flags = ("--header-timeout-s", "1", "--body-timeout-s", "2")
    with (
        ServerProcess(models, *flags, log=tmp_path / "log") as server,
        RawConnection(server) as silent,
        RawConnection(server) as slow_header,
        RawConnection(server) as slow_body,
        RawConnection(server) as idle,
    ):
        slow_header.send(GOOD[:20])
        slow_body.send(GOOD[:-1])
        idle.send(GOOD)
        assert idle.read()[0] == 200
        assert silent.closed()
        for client, words in (
            (slow_header, "no whole header in 1 s"),
            (slow_body, "no whole request in 2 s"),
        ):
            status, headers, body = client.read()
            assert (status, headers["connection"]) == (408, "close")
            assert json.loads(body) == {"error": words}
            assert client.closed()
        idle.send(GOOD)
        assert idle.read()[0] == 200
        until(
            "the places are free",
            lambda: metric(server, "model_server_memory_bytes_in_flight") == 0,
        )
        assert rejected(server, "header_timeout") == rejected(server, "body_timeout") == 1


def test_who_has_waited_longest_goes_where_there_are_too_many(models: Path, tmp_path: Path) -> None:
    """Nobody is locked out by connections that say nothing, or said something once."""
    with (
        ServerProcess(models, "--connections-limit", "8", log=tmp_path / "log") as server,
        contextlib.ExitStack() as all_,
    ):
        silent = [all_.enter_context(RawConnection(server)) for _ in range(4)]
        idle = [all_.enter_context(RawConnection(server)) for _ in range(4)]
        for client in idle:
            client.send(GOOD)
            assert client.read()[0] == 200
        for _ in range(50):
            with RawConnection(server) as fresh:
                fresh.send(GOOD)
                assert fresh.read()[0] == 200
        assert silent[0].closed()
        assert rejected(server, "connections") >= 1


def test_where_all_are_worked_for_one_more_is_told(slow_models: Path, tmp_path: Path) -> None:
    flags = ("--connections-limit", "4", "--queue-limit-ms", "100000", "--health-port", "0")
    with ServerProcess(slow_models, *flags, log=tmp_path / "log") as server:
        server.client.close()
        with contextlib.ExitStack() as all_:
            clients = [all_.enter_context(RawConnection(server)) for _ in range(4)]
            for client in clients:
                client.send(request(b'{"instances": [[2.0]]}', PREDICT))
            metrics = f"http://127.0.0.1:{server.health_port}/metrics"
            in_flight = "model_server_requests_in_flight 4.0"
            until("all are worked for", lambda: in_flight in httpx.get(metrics).text)
            late = all_.enter_context(RawConnection(server))
            late.send(request(b'{"instances": [[0]]}', PREDICT))
            status, headers, body = late.read()
            assert (status, headers["connection"], headers["retry-after"]) == (503, "close", "1")
            assert json.loads(body)["error"].startswith("too much to do (connections)")
            assert [client.read()[0] for client in clients] == [200] * 4


@pytest.mark.parametrize(
    "began",
    [b"", b"\r\n", GOOD[:20], GOOD[:-1], GOOD + b"\r\n"],
    ids=["silent", "an empty line", "half a head", "half a body", "a request and an empty line"],
)
def test_no_beginning_keeps_a_place(models: Path, tmp_path: Path, began: bytes) -> None:
    """Forty connections that go no further, and room for forty."""
    flags = ("--connections-limit", "40")
    with (
        ServerProcess(models, *flags, log=tmp_path / "log") as server,
        contextlib.ExitStack() as all_,
    ):
        server.client.close()
        for _ in range(40):
            all_.enter_context(RawConnection(server)).send(began)
        for _ in range(10):
            with RawConnection(server) as fresh:
                fresh.send(GOOD)
                assert fresh.read()[0] == 200


def test_what_is_announced_takes_no_room(models: Path, tmp_path: Path) -> None:
    """Bodies of far more than all may have together are announced, and nothing is sent."""
    announced = GOOD.partition(b"\r\n\r\n")[0].replace(
        b"content-length: 22", b"content-length: 1000"
    )
    flags = ("--bytes-limit", "1000", "--requests-limit", "4")
    with (
        ServerProcess(models, *flags, log=tmp_path / "log") as server,
        contextlib.ExitStack() as all_,
    ):
        for _ in range(20):
            all_.enter_context(RawConnection(server)).send(announced + b"\r\n\r\n")
        assert server.predict("rooms", "6.5\n", "text/csv").status_code == 200


def test_the_room_of_a_body_that_has_stalled_is_given_to_another(
    models: Path, tmp_path: Path
) -> None:
    whole = request(b'{"instances": [[6.5]]}'.ljust(9000))
    with (
        ServerProcess(models, "--bytes-limit", "10000", log=tmp_path / "log") as server,
        RawConnection(server) as stalled,
    ):
        stalled.send(whole[:-1])
        until(
            "it holds its room",
            lambda: metric(server, "model_server_memory_bytes_in_flight") == 8999,
        )
        until(
            "another is answered",
            lambda: (
                server.client.post(
                    "/v1/models/rooms:predict",
                    content=b'{"instances": [[6.5]]}'.ljust(200),
                    headers={"content-type": "application/json"},
                ).status_code
                == 200
            ),
        )
        status, headers, _ = stalled.read()
        assert (status, headers["connection"]) == (503, "close")


def test_requests_beyond_the_limit_are_refused(slow_models: Path, tmp_path: Path) -> None:
    flags = ("--requests-limit", "3", "--queue-limit-ms", "100000")
    with ServerProcess(slow_models, *flags, log=tmp_path / "log") as server:
        with busy(server, 3, 2.0) as clients:
            answer = server.predict("slow", '{"instances": [[0]]}', "application/json")
            assert answer.status_code == 503
            assert answer.headers["retry-after"] == "1"
            assert answer.json()["error"].startswith("too much to do (requests)")
            assert server.client.get("/v2/health/ready").status_code == 200
            assert [client.read()[0] for client in clients] == [200, 200, 200]
        answer = server.predict("slow", '{"instances": [[0]]}', "application/json")
        assert answer.status_code == 200
        assert rejected(server, "requests") == 1


@pytest.mark.parametrize("announced", [True, False])
def test_bodies_beyond_the_limit_are_refused(
    slow_models: Path, tmp_path: Path, *, announced: bool
) -> None:
    flags = ("--bytes-limit", "10000", "--queue-limit-ms", "100000")
    body = b'{"instances": [[0]]}'.ljust(1100)
    with ServerProcess(slow_models, *flags, log=tmp_path / "log") as server, busy(server, 1, 2.0):
        answer = server.client.post(
            PREDICT,
            content=body if announced else iter([body[:600], body[600:]]),
            headers={"content-type": "application/json"},
        )
        assert answer.status_code == 503
        assert answer.json()["error"].startswith("too much to do (bytes)")


def test_the_queue_is_bounded_in_time_and_drains(slow_models: Path, tmp_path: Path) -> None:
    """Many more at once than can be begun in time: each is answered, some with 503."""
    with ServerProcess(slow_models, log=tmp_path / "log") as server:
        body = '{"instances": [[0.2]]}'

        def ask(_: int) -> tuple[int, str | None]:
            answer = server.predict("slow", body, "application/json")
            return answer.status_code, answer.headers.get("retry-after")

        for _ in range(4):  # what a call costs is learned from those before
            assert ask(0)[0] == 200
        with ThreadPoolExecutor(32) as senders:
            answers = list(senders.map(ask, range(64)))
        assert {status for status, _ in answers} == {200, 503}
        assert all(re.fullmatch(r"\d+", after or "") for status, after in answers if status == 503)
        assert rejected(server, "queue") == [status for status, _ in answers].count(503)
        assert ask(0)[0] == 200


def test_a_client_that_goes_away_frees_its_place(slow_models: Path, tmp_path: Path) -> None:
    flags = ("--queue-limit-ms", "1000000")
    with ServerProcess(slow_models, *flags, log=tmp_path / "log") as server:
        with busy(server, 8, 1.0) as clients:
            for client in clients[2:]:
                client.reset()
            until(
                "their places are free",
                lambda: metric(server, "model_server_requests_in_flight") <= 2,
            )
            assert metric(server, "model_server_requests_disconnected_total") == 6
            assert [client.read()[0] for client in clients[:2]] == [200, 200]
        server.stop()
        assert [one["message"] for one in server.records()] == ["serving", "stopping", "stopped"]


def test_a_client_that_closes_is_given_up(slow_models: Path, tmp_path: Path) -> None:
    """It might have closed its half alone, so it is given some time."""
    with (
        ServerProcess(slow_models, log=tmp_path / "log") as server,
        RawConnection(server) as client,
    ):
        client.send(request(b'{"instances": [[10.0]]}', PREDICT))
        client.shut_down(socket.SHUT_RDWR)
        until(
            "it is given up",
            lambda: metric(server, "model_server_requests_disconnected_total") == 1,
        )
        assert metric(server, "model_server_requests_in_flight") == 0


def test_a_client_that_never_reads_is_cut_off(models: Path, tmp_path: Path) -> None:
    flags = ("--body-timeout-s", "1")
    rows = b"6.5\n" * 200_000
    body = request(rows, headers=b"").replace(b"application/json", b"text/csv")
    with (
        ServerProcess(models, *flags, log=tmp_path / "log") as server,
        RawConnection(server) as deaf,
    ):
        with contextlib.suppress(OSError):
            for _ in range(8):
                deaf.send(body)
        until("it is cut off", lambda: rejected(server, "read_timeout") == 1)


def test_what_can_never_fit_is_refused_with_the_cure(models: Path, tmp_path: Path) -> None:
    """Alone it would take more than all may."""
    flags = ("--bytes-limit", "100000")
    with ServerProcess(models, *flags, log=tmp_path / "log") as server:
        for n_rows, media_type in ((10_000, "text/csv"), (40_000, "text/csv")):
            answer = server.predict("rooms", "6.5\n" * n_rows, media_type)
            assert answer.status_code == 413
            assert "--bytes-limit" in answer.json()["error"]
            assert "send fewer rows" in answer.json()["error"]
        assert server.predict("rooms", "6.5\n", "text/csv").status_code == 200
        assert metric(server, "model_server_memory_bytes_in_flight") == 0
        [warning] = [one for one in server.records() if one["level"] == "WARNING"]
        assert "--body-limit-bytes" in warning["message"]


@pytest.mark.parametrize(
    ("path", "head", "unit", "tail"),
    [
        ("/v2/models/rooms/infer", '{"inputs":[', "{}", "]}"),
        ("/v2/models/rooms/infer", '{"inputs":[],"parameters":{', '"a":{}', "}}"),
        (
            "/v2/models/rooms/infer",
            '{"inputs":[{"name":"","datatype":"FP64","data":[],"shape":[',
            "9",
            "]}]}",
        ),
        ("/v1/models/rooms:predict", '{"instances":[', "{}", "]}"),
    ],
    ids=["inputs", "parameters", "a long shape", "instances"],
)
def test_a_long_list_of_nonsense_is_not_taken_apart(
    server: ServerProcess, path: str, head: str, unit: str, tail: str
) -> None:
    """KServe would list what is wrong with each, for gigabytes; or multiply a long shape."""
    body = head + ",".join([unit] * 300_000) + tail
    before_mb = server.rss_mb
    answer = server.client.post(
        path, content=body, headers={"content-type": "application/json"}, timeout=60
    )
    assert answer.status_code == 400
    assert server.rss_mb - before_mb < 100


def test_answers_that_nobody_reads_are_counted(models: Path, tmp_path: Path) -> None:
    rows = b"6.5\n" * 500_000
    ask = request(rows, headers=b"").replace(b"application/json", b"text/csv")
    with (
        ServerProcess(models, "--queue-limit-ms", "100000", log=tmp_path / "log") as server,
        RawConnection(server) as deaf,
    ):
        deaf.send(ask)
        until(
            "the answer is counted, and what working on it took is not",
            lambda: (
                2 * 500_000 < metric(server, "model_server_memory_bytes_in_flight") < 8 * len(rows)
            ),
        )
        deaf.reset()
        until(
            "its room is free",
            lambda: metric(server, "model_server_memory_bytes_in_flight") == 0,
        )
