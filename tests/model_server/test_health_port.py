"""Health and metrics on a port of their own, whatever becomes of the other."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from harness.certificates import Authority
from harness.processes import ServerProcess, until
from tests.model_server import slow_model
from tests.model_server.raw_connection import GOOD, RawConnection, request

pytestmark = pytest.mark.slow

PATHS = ("/v2/health/live", "/v2/health/ready", "/v1/models/rooms", "/metrics")


@contextlib.contextmanager
def watching(server: ServerProcess) -> Iterator[httpx.Client]:
    """A client of the port of health."""
    with httpx.Client(base_url=f"http://127.0.0.1:{server.health_port}") as client:
        yield client


def test_it_answers_beside_tls_and_tokens_and_nothing_else(models: Path, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key, tokens = (tmp_path / name for name in ("tls.crt", "tls.key", "tokens"))
    authority.sign(certificate, key)
    tokens.write_text("secret\n")
    flags = ("--ssl-certfile", str(certificate), "--ssl-keyfile", str(key), "--health-port", "0")
    with (
        ServerProcess(
            models,
            *(*flags, "--token-file", str(tokens), "--connections-limit", "20"),
            log=tmp_path / "log",
            authority=authority.path,
        ) as server,
        contextlib.ExitStack() as all_,
        watching(server) as client,
    ):
        for path in PATHS:
            assert client.get(path).status_code == 200
        answer = client.get("/v1/models")
        assert answer.status_code == 404
        assert answer.json() == {"error": "Not Found: GET /v1/models"}
        for _ in range(60):  # more than may connect, and none of them shakes hands
            all_.enter_context(RawConnection(server))
        answer = server.client.get("/v1/models", headers={"authorization": "Bearer secret"})
        assert answer.status_code == 200


def test_it_answers_while_the_other_takes_no_more(tmp_path: Path) -> None:
    slow_model.write(tmp_path / "models", slow_model.Sleeper())
    flags = ("--health-port", "0", "--connections-limit", "2", "--requests-limit", "2")
    with (
        ServerProcess(
            tmp_path / "models", *flags, "--queue-limit-ms", "100000", log=tmp_path / "log"
        ) as server,
        contextlib.ExitStack() as all_,
        watching(server) as client,
    ):
        server.client.close()
        working = [all_.enter_context(RawConnection(server)) for _ in range(2)]
        for one in working:
            one.send(request(b'{"instances": [[1.0]]}', "/v1/models/slow:predict"))
        in_flight = "model_server_requests_in_flight 2.0"
        until("both are worked for", lambda: in_flight in client.get("/metrics").text)
        with RawConnection(server) as refused:
            refused.send(GOOD)
            assert refused.read()[0] == 503
        for path in ("/v2/health/live", "/v2/health/ready", "/v1/models/slow"):
            assert client.get(path).status_code == 200
        assert [one.read()[0] for one in working] == [200, 200]


def test_it_tells_of_a_stop_until_the_end(models: Path, tmp_path: Path) -> None:
    flags = ("--health-port", "0", "--drain-delay-s", "3600")
    with (
        ServerProcess(models, *flags, log=tmp_path / "log") as server,
        watching(server) as client,
    ):
        server.process.terminate()
        until("it is not ready", lambda: client.get("/v2/health/ready").status_code == 503)
        assert client.get("/v2/health/live").status_code == 200
        server.process.terminate()


def test_its_own_silent_clients_do_not_keep_it(models: Path, tmp_path: Path) -> None:
    flags = ("--health-port", "0")
    with (
        ServerProcess(models, *flags, log=tmp_path / "log") as server,
        contextlib.ExitStack() as all_,
        watching(server) as client,
    ):
        for _ in range(200):
            all_.enter_context(RawConnection(server, server.health_port)).send(b"GET /")
        assert client.get("/v2/health/live").status_code == 200
