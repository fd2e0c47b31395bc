"""Liveness and readiness tell the truth, and a server that is stuck ends."""

import contextlib
import json
import os
import signal
import subprocess
from pathlib import Path

import httpx
import pytest

from harness.processes import DEADLINE_S, ServerProcess, until
from tests.model_server import held, slow_model
from tests.model_server.raw_connection import RawConnection, request

pytestmark = pytest.mark.slow

JSON = "application/json"
LARGE = '{"instances": [[101]]}'
SMALL = '{"instances": [[0.001]]}'


def status(server: ServerProcess, path: str) -> int:
    return server.client.get(path).status_code


def alive(server: ServerProcess) -> bool:
    try:
        return httpx.get(f"{server.url}/v2/health/live", timeout=1).status_code == 200
    except httpx.TransportError:
        return False


def test_a_runtime_that_rots_is_found(own_models: Path, tmp_path: Path) -> None:
    slow_model.write(own_models, slow_model.Rotting(), "rotting")
    with ServerProcess(own_models, "--health-interval-s", "1", log=tmp_path / "log") as server:
        assert server.predict("rotting", SMALL, JSON).status_code == 200
        assert status(server, "/v2/health/live") == 200
        assert server.predict("rotting", LARGE, JSON).status_code == 200
        until("it is not alive", lambda: status(server, "/v2/health/live") == 503)
        assert server.client.get("/").json() == {"status": "broken"}
        assert status(server, "/v1/models/rotting") == 503
        assert server.predict("rotting", SMALL, JSON).status_code == 503
        assert status(server, "/v2/health/ready") == 200, "the others are sound"
        assert server.predict("rooms", '{"instances": [[6.5]]}', JSON).status_code == 200
        assert (
            'model_server_model_broken{model_name="rotting"} 1.0'
            in server.client.get("/metrics").text
        )
        server.stop()
        [line] = [one["message"] for one in server.records() if one["level"] == "CRITICAL"]
        assert "rotting: model.joblib: golden row 1 comes out as 1000.0, not 0.0" in line


@pytest.mark.parametrize("by", ["work", "sleep"])
def test_a_stuck_event_loop_ends_the_process(models: Path, tmp_path: Path, by: str) -> None:
    begins = tmp_path / "begins"
    environment = held.environment(begins, by)
    flags = ("--stuck-timeout-s", "2")
    with ServerProcess(models, *flags, log=tmp_path / "log", environment=environment) as server:
        begins.touch()
        until("liveness fails", lambda: not alive(server))
        assert server.process.wait(DEADLINE_S) == signal.SIGALRM
    line, *stacks = server.log.read_text().splitlines()[1:]
    assert "the event loop has stood still for 3 s" in json.loads(line)["message"]
    assert "sitecustomize.py" in "".join(stacks), "the log shows where it was stuck"


@pytest.mark.parametrize("watcher_stops", [True, False])
def test_a_server_that_was_stopped_is_not_stuck(
    models: Path, tmp_path: Path, *, watcher_stops: bool
) -> None:
    with ServerProcess(models, "--stuck-timeout-s", "1", log=tmp_path / "log") as server:
        [watcher] = watchers(server)
        stopped = [server.process.pid, *([watcher] if watcher_stops else [])]
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.process.wait(3)
        for pid in reversed(stopped):
            os.kill(pid, signal.SIGCONT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.process.wait(3)
        assert status(server, "/v2/health/live") == 200
        assert server.stop() == 0


def test_the_watcher_is_replaced_and_ends_with_the_server(models: Path, tmp_path: Path) -> None:
    with ServerProcess(models, log=tmp_path / "log") as server:
        [first] = watchers(server)
        os.kill(first, signal.SIGKILL)
        until("another watches", lambda: watchers(server) not in ([first], []))
        [second] = watchers(server)
        server.kill()
        until("it ends", lambda: not Path(f"/proc/{second}").exists())
    assert "started again" in server.log.read_text()


def watchers(server: ServerProcess) -> list[int]:
    pid = server.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(pid) for pid in children if b"watcher" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def test_a_server_that_stands_idle_is_not_stuck(models: Path, tmp_path: Path) -> None:
    with ServerProcess(models, "--stuck-timeout-s", "1", log=tmp_path / "log") as server:
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.process.wait(3)
        assert status(server, "/v2/health/live") == 200


def test_a_prediction_that_never_ends_does_not_keep_it_from_stopping(tmp_path: Path) -> None:
    slow_model.write(tmp_path / "models", slow_model.Sleeper())
    flags = ("--drain-delay-s", "0", "--drain-timeout-s", "1")
    with (
        ServerProcess(tmp_path / "models", *flags, log=tmp_path / "log") as server,
        RawConnection(server) as client,
    ):
        client.send(request(b'{"instances": [[3600]]}', "/v1/models/slow:predict"))
        until("it is in flight", lambda: "in_flight 1.0" in server.client.get("/metrics").text)
        assert server.stop() == 0
        status, headers, body = client.read()
        assert (status, headers["connection"]) == (503, "close")
        assert b"the server stops" in body
    assert "it is given up" in server.records()[-1]["message"]
