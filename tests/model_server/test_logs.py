"""Logs hold up nobody: not where standard error is read by none, and not at an odd name."""

import json
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import httpx
import pytest

from harness.processes import DEADLINE_S, ROOT
from model_server import logs
from tests.model_server import held

JSON = {"content-type": "application/json"}
LONG = "x" * 20_000


def pipe() -> tuple[IO[bytes], int]:
    read, write = os.pipe()
    return os.fdopen(read, "rb"), write


def sockets() -> tuple[IO[bytes], int]:
    ours, its = socket.socketpair()
    with ours:
        return ours.makefile("rb"), its.detach()


@contextmanager
def serving(
    models: Path, *flags: str, stderr: tuple[IO[bytes], int]
) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Start a server, and read its standard error until it serves and no further."""
    read, write = stderr
    ports = ("--http-port", "0", "--no-grpc")
    command = [sys.executable, "-m", "model_server", "--models", str(models), *ports, *flags]
    with read, subprocess.Popen(command, cwd=ROOT, stderr=write) as process:
        os.close(write)
        try:
            port = json.loads(read.readline())["http_port"]
            yield process, f"http://127.0.0.1:{port}"
        finally:
            process.kill()


@pytest.mark.parametrize("kind", [pipe, sockets])
def test_what_nobody_reads_is_dropped_and_counted(
    models: Path, kind: Callable[[], tuple[IO[bytes], int]]
) -> None:
    with serving(models, "--access-log", stderr=kind()) as (process, url):
        with httpx.Client(base_url=url, timeout=DEADLINE_S) as client:
            for _ in range(100):
                assert client.get(f"/v1/models/{LONG}").status_code == 404
            good = client.post(
                "/v1/models/rooms:predict", content='{"instances": [[6.5]]}', headers=JSON
            )
            assert good.status_code == 200
            [dropped] = [
                float(line.split()[1])
                for line in client.get("/metrics").text.splitlines()
                if line.startswith("model_server_log_records_dropped_total ")
            ]
            assert dropped > 0
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE_S) == 0


@pytest.mark.slow
def test_a_stuck_event_loop_ends_the_process_all_the_same(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begins = tmp_path / "begins"
    for name, text in held.environment(begins).items():
        monkeypatch.setenv(name, text)
    read, write = pipe()
    other = os.open(f"/proc/self/fd/{write}", os.O_WRONLY | os.O_NONBLOCK)
    with serving(models, "--stuck-timeout-s=3", stderr=(read, write)) as (process, _):
        fill(other)
        begins.touch()
        assert process.wait(DEADLINE_S) == signal.SIGALRM


def fill(descriptor: int) -> None:
    """Write to a pipe until there is no room for a byte."""
    for length in (4096, 1):
        try:
            while True:
                os.write(descriptor, bytes(length))
        except BlockingIOError:
            pass


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flags", "status"), [(("--print-example",), 0), (("--help",), -signal.SIGPIPE)]
)
def test_output_that_nobody_reads_ends_it_quietly(
    models: Path, flags: tuple[str, ...], status: int
) -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "model_server", "--models", str(models), "--http-port", "0"]
    ended = subprocess.run(
        [*command, "--no-grpc", *flags],
        cwd=ROOT,
        stdout=write,
        stderr=subprocess.PIPE,
        timeout=DEADLINE_S,
        check=False,
    )
    os.close(write)
    assert ended.returncode == status
    assert {json.loads(line)["level"] for line in ended.stderr.splitlines()} <= {"INFO"}


def test_a_name_of_any_bytes_is_logged(capfd: pytest.CaptureFixture[str]) -> None:
    name = os.fsdecode(b"caf\xe9")
    handler = logs.StandardError()
    handler.start()
    handler.setFormatter(logs.JSONLine(logs.FIELDS, rename_fields=logs.NAMES))
    handler.handle(logging.makeLogRecord({"msg": f"{name}: is broken", "levelname": "ERROR"}))
    handler.flush()
    assert json.loads(capfd.readouterr().err)["message"] == f"{name}: is broken"
