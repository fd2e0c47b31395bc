"""The application as a process before a real model server."""

import contextlib
import csv
import io
import random
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from harness.ports import reserve_port
from harness.processes import DEADLINE_S, ROOT, ApplicationProcess, ServerProcess, until
from tests.application.stand_in import StandIn, busy

pytestmark = pytest.mark.slow

FORM = b'--b\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\nRM\n'
DATA = ROOT / "training" / "data" / "boston_housing.csv"


def dial(application: ApplicationProcess) -> socket.socket:
    port = int(application.url.rpartition(":")[2])
    return socket.create_connection(("127.0.0.1", port), DEADLINE_S)


def test_the_page_tells_the_number_of_the_endpoint(
    application: ApplicationProcess, server: ServerProcess
) -> None:
    asked = server.predict("rooms", '{"instances": [[6.5]]}', "application/json")
    [value] = asked.json()["predictions"]
    page = application.client.get("/?RM=6.5").text
    assert re.search(r'<data value="([^"]+)">', page)[1] == str(value)  # type: ignore[index]


def test_the_form_has_every_feature(application: ApplicationProcess, server: ServerProcess) -> None:
    schema = server.client.get("/v1/models/boston/schema").json()
    page = application.client.get("/models/boston").text
    for name in schema["features"]["properties"]:
        assert f'name="{name}"' in page


def test_the_areas_are_those_of_the_training() -> None:
    def columns(path: Path) -> list[tuple[str, str]]:
        with path.open(newline="") as lines:
            return sorted((row["RM"], row["MEDV"]) for row in csv.DictReader(lines))

    assert columns(ROOT / "application" / "data" / "areas.csv") == columns(DATA)


def test_a_file_of_all_areas_gets_what_the_endpoint_predicts(
    application: ApplicationProcess, server: ServerProcess
) -> None:
    answer = application.client.post(
        "/models/boston/file", files={"file": ("areas.csv", DATA.read_bytes())}
    )
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    schema = server.client.get("/v1/models/boston/schema").json()
    lines = [[row[name] for name in schema["features"]["properties"]] for row in rows]
    body = "".join(",".join(line) + "\n" for line in lines)
    straight = server.predict("boston", body, "text/csv", "text/csv").text.split()
    assert len(rows) == 506
    assert [row["MEDV predicted"] for row in rows] == straight


def test_fifty_thousand_rows_without_javascript(application: ApplicationProcess) -> None:
    seeded = random.Random(0)
    text = "RM\n" + "".join(f"{seeded.uniform(4, 8):.3f}\n" for _ in range(50_000))
    answer = application.client.post("/models/rooms/file", files={"file": ("f.csv", text)})
    rows = list(csv.reader(io.StringIO(answer.text)))
    assert len(rows) == 50_001
    assert all(problem == "" and float(value) > 0 for _, value, problem in rows[1:])


def test_the_first_page_is_small(application: ApplicationProcess) -> None:
    page = application.client.get("/", headers={"accept-encoding": "identity"})
    loaded = set(re.findall(r'(?:src|href)="(/static/[^"]+)"', page.text))
    loaded |= {address.replace("form.js", "waiting.js") for address in loaded}
    size = len(page.content) + sum(
        len(application.client.get(address).content) for address in loaded
    )
    assert size < 60 * 1024


def test_static_files_are_kept_by_their_release(application: ApplicationProcess) -> None:
    page = application.client.get("/").text
    [address] = re.findall(r'href="(/static/[^"]+page.css)"', page)
    assert "immutable" in application.client.get(address).headers["cache-control"]
    other = application.client.get("/static/0123456789ab/page.css")
    assert (other.status_code, other.headers["cache-control"]) == (200, "no-cache")
    assert application.client.get("/static/x/../../settings.py").status_code == 404


def test_the_manifest_names_icons_that_are_there(application: ApplicationProcess) -> None:
    manifest = application.client.get("/manifest.webmanifest").json()
    assert manifest["display"] == "standalone"
    for icon in manifest["icons"]:
        assert application.client.get(icon["src"]).headers["content-type"] == icon["type"]


def test_the_client_behind_a_proxy_is_the_one_that_is_limited(
    server: ServerProcess, tmp_path: Path
) -> None:
    flags = ("--rate-limit", "1", "--trusted-proxies", "127.0.0.1")
    with ApplicationProcess(server.url, *flags, log=tmp_path / "log") as application:
        statuses = [
            application.client.get("/about", headers={"x-forwarded-for": client}).status_code
            for client in ("10.0.0.1", "10.0.0.1", "10.0.0.2")
        ]
    assert statuses == [200, 429, 200]


def test_bodies_that_are_held_open_cost_what_is_stated(tmp_path: Path) -> None:
    limit, n_clients = 4 * 1024**2, 48
    flags = ("--upload-limit-bytes", str(limit), "--trusted-proxies", "127.0.0.1")
    with (
        StandIn().listening() as address,
        ApplicationProcess(address, *flags, log=tmp_path / "log") as application,
        contextlib.ExitStack() as stack,
    ):
        application.client.get("/")
        before_mb = application.rss_mb
        for client in range(n_clients):
            kind = ("text/csv", "multipart/form-data; boundary=b")[client % 2]
            held = stack.enter_context(dial(application))
            held.sendall(
                f"POST /models/rooms/file HTTP/1.1\r\nhost: x\r\ncontent-type: {kind}\r\n"
                f"x-forwarded-for: 203.0.113.{client}\r\ncontent-length: {limit}\r\n\r\n".encode()
            )
            held.sendall(FORM + b"6\n" * ((limit - len(FORM)) // 2 - 1))
        assert application.client.get("/?RM=7").status_code == 200
        assert application.rss_mb - before_mb < 8 * limit / 1e6


def test_what_comes_in_too_slowly_is_told_and_closed(tmp_path: Path) -> None:
    with (
        StandIn().listening() as address,
        ApplicationProcess(
            address, "--upload-timeout-s", "0.2", log=tmp_path / "log"
        ) as application,
        dial(application) as slow,
    ):
        slow.sendall(
            b"POST /models/rooms/file HTTP/1.1\r\nhost: x\r\ncontent-length: 99\r\n\r\nRM\n"
        )
        answer = b"".join(iter(lambda: slow.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"longer than 0.2 seconds" in answer


def test_an_answer_that_nobody_takes_is_cut_off(tmp_path: Path) -> None:
    body = b"note,RM\n" + (b"n" * 1000 + b",6\n") * 15_000
    with (
        StandIn().listening() as address,
        ApplicationProcess(address, "--upload-timeout-s", "2", log=tmp_path / "log") as application,
        dial(application) as silent,
    ):
        head = f"POST /models/rooms/file HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
        silent.sendall(head.encode() + body)
        until(
            "the answer is given up",
            lambda: "not taken in time" in application.log.read_text(),
        )
        assert application.client.get("/?RM=7").status_code == 200
    assert "Traceback" not in application.log.read_text()


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET / HTTP/1.1\r\nhost: [\r\n", 200),
        (b"GET /models/" + b"%E2%98%83" * 3000 + b" HTTP/1.1\r\nhost: x\r\n", 404),
        (b"POST /models/rooms/file HTTP/1.1\r\nhost: x\r\norigin: http://[\r\n", 403),
        (b"POST /models/rooms/file?first=" + b"9" * 5000 + b" HTTP/1.1\r\nhost: x\r\n", 400),
    ],
)
def test_an_odd_request_is_no_fault(
    application: ApplicationProcess, head: bytes, status: int
) -> None:
    with dial(application) as asking:
        asking.sendall(head + b"connection: close\r\n\r\n")
        answer = b"".join(iter(lambda: asking.recv(65536), b""))
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert "Traceback" not in application.log.read_text()


def test_a_signal_ends_it_after_the_request_in_flight(tmp_path: Path) -> None:
    endpoint = StandIn()
    endpoint.replies.append(busy("1"))
    with (
        endpoint.listening() as address,
        ApplicationProcess(address, log=tmp_path / "log") as application,
        dial(application) as asking,
    ):
        asking.sendall(b"GET /models/rooms/answer?RM=7 HTTP/1.1\r\nhost: x\r\n\r\n")
        while not endpoint.rows:
            pass
        application.process.send_signal(signal.SIGTERM)
        assert asking.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")
        assert application.process.wait(DEADLINE_S) == 0


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_it_starts_and_ends_without_an_endpoint(tmp_path: Path, sig: signal.Signals) -> None:
    nothing = f"http://127.0.0.1:{reserve_port()}"
    with ApplicationProcess(nothing, log=tmp_path / "log") as application:
        page = application.client.get("/?RM=7")
        assert page.status_code == 503
        assert "can&#39;t be reached" in page.text
        assert application.client.get("/about").status_code == 200
        assert application.stop(sig) == 0
    assert application.records()[0]["message"] == "serving"


def test_a_taken_port_is_told(application: ApplicationProcess) -> None:
    port = application.url.rpartition(":")[2]
    command = [sys.executable, "-m", "application", "--host", "127.0.0.1", "--port", port]
    ended = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )
    assert ended.returncode != 0
    assert "Address already in use" in ended.stderr


def test_it_needs_the_connections_alone_of_the_model_server() -> None:
    code = "import sys, application.__main__; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    modules = set(loaded.stdout.split())
    own = {"kserve", "msgspec", "numpy", "onnxruntime", "pandas", "sklearn", "training"}
    assert own.isdisjoint(modules)
    rooms = {".".join(name.split(".")[:2]) for name in modules if name.startswith("model_server.")}
    shared = ("errors", "formats", "http", "inference", "metrics", "ports")
    assert rooms == {f"model_server.{room}" for room in shared}


def test_the_endpoint_is_not_reachable_through_it(application: ApplicationProcess) -> None:
    for path in ("/v1/models", "/metrics", "/models/..%2F..%2Fmetrics"):
        assert application.client.get(path).status_code == 404
