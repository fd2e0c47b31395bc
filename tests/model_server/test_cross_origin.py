"""Pages of other origins ask from a browser where the settings let them, and nowhere else."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from harness.processes import ServerProcess
from model_server import settings
from tests.application.browser import chromium, opened

TOKEN = "secret"
PREDICT = "/v1/models/rooms:predict"
PREFLIGHT = {
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,content-type",
}

pytestmark = pytest.mark.slow


class Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as pages:
        serving = threading.Thread(target=pages.serve_forever)
        serving.start()
        yield f"http://127.0.0.1:{pages.server_port}"
        pages.shutdown()
        serving.join()


@pytest.fixture(scope="module")
def server(
    models: Path, origin: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("cross-origin")
    tokens = folder / "tokens"
    tokens.write_text(TOKEN)
    flags = ("--cors-origins", origin, "--cors-origins", "https://[::1]:8443")
    with ServerProcess(models, *flags, "--token-file", str(tokens), log=folder / "log") as started:
        yield started


def test_a_preflight_needs_no_token(server: ServerProcess, origin: str) -> None:
    answer = server.client.options(PREDICT, headers={**PREFLIGHT, "origin": origin})
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == origin
    assert "POST" in answer.headers["access-control-allow-methods"].split(", ")
    allowed = answer.headers["access-control-allow-headers"].split(", ")
    assert {"authorization", "content-type"} <= {*allowed}
    assert answer.headers["vary"] == "origin"
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("other", ["https://evil.example", "null", "HTTPS://[::1]:8443/"])
def test_others_are_refused(server: ServerProcess, other: str) -> None:
    preflight = server.client.options(PREDICT, headers={**PREFLIGHT, "origin": other})
    assert preflight.status_code == 403
    assert f"pages of {other!r} may not ask" in preflight.json()["error"]
    answer = server.client.get("/v2/health/live", headers={"origin": other})
    for told in (preflight, answer):
        assert "access-control-allow-origin" not in told.headers


def test_what_is_no_preflight_needs_a_token(server: ServerProcess, origin: str) -> None:
    for headers in ({}, {"origin": origin}, PREFLIGHT):
        assert server.client.options(PREDICT, headers=headers).status_code == 401


@pytest.mark.needs("chromium")
def test_a_page_reads_answers_and_errors(server: ServerProcess, origin: str) -> None:
    ask = """async ([url, token]) => {
      const answer = await fetch(url, {method: "POST", body: '{"instances": [[6.5]]}',
        headers: {"content-type": "application/json", "authorization": token}});
      return [answer.status, await answer.json()];
    }"""
    with chromium() as browser, opened(browser) as page:
        page.goto(origin)
        for address in ("127.0.0.1", "localhost"):
            url = f"http://{address}:{server.http_port}{PREDICT}"
            status, told = page.evaluate(ask, [url, f"Bearer {TOKEN}"])
            assert (status, list(told)) == (200, ["predictions"])
            status, told = page.evaluate(ask, [url, "Bearer wrong"])
            assert (status, list(told)) == (401, ["error"])


def test_without_the_setting_no_page_may_ask(models: Path, tmp_path: Path) -> None:
    with ServerProcess(models, log=tmp_path / "log") as server:
        headers = {**PREFLIGHT, "origin": "https://pages.example"}
        assert server.client.options(PREDICT, headers=headers).status_code == 405
        answer = server.client.get("/v2/health/live", headers=headers)
        assert "access-control-allow-origin" not in answer.headers


def test_an_origin_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    given = settings.parse([], {"MODEL_SERVER_CORS_ORIGINS": "https://A.example, *"})
    assert given.cors_origins == ("https://a.example", "*")
    with pytest.raises(SystemExit):
        settings.parse(["--cors-origins", "https://pages.example/path"], {})
    told = "'https://pages.example/path' is not *, nor an origin such as https://pages.example"
    assert told in capsys.readouterr().err
