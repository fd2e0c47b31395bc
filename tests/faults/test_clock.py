"""A clock that jumps while a server runs."""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from harness.processes import DEADLINE_S, ServerProcess

DAY = timedelta(days=1)
ROW = '{"instances": [[6.5]]}'


class Clock:
    """The clock of a process, as libfaketime shows it; the monotonic one goes on as it is."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.set(timedelta())
        library = subprocess.run(
            ["faketime", "-f", "+0", "printenv", "LD_PRELOAD"],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        self.environment = {
            "LD_PRELOAD": library.stdout.strip(),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def set(self, ahead: timedelta) -> None:
        written = self._file.with_suffix(".new")
        written.write_text(f"{ahead.total_seconds():+.0f}\n")
        written.replace(self._file)


def ahead(server: ServerProcess) -> timedelta:
    """Predict, and return how far ahead of ours the clock is that dates the answer."""
    answer = server.predict("rooms", ROW, "application/json")
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"predictions": [pytest.approx(21310.95, abs=0.01)]}
    return parsedate_to_datetime(answer.headers["date"]) - datetime.now(UTC)


@contextmanager
def begun(server: ServerProcess) -> Iterator[None]:
    """Send one half of a request before the block and the other after; it is answered."""
    head = (
        f"POST /v1/models/rooms:predict HTTP/1.1\r\nhost: x\r\ncontent-length: {len(ROW)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.http_port), timeout=DEADLINE_S) as client:
        client.sendall((head + ROW[:10]).encode())
        yield
        client.sendall(ROW[10:].encode())
        assert client.recv(1000).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.needs("faketime")
@pytest.mark.parametrize("jump", [DAY, -DAY])
def test_predictions_and_the_drain_go_on(models: Path, tmp_path: Path, jump: timedelta) -> None:
    clock = Clock(tmp_path / "clock")
    with ServerProcess(models, log=tmp_path / "log", environment=clock.environment) as server:
        with begun(server):
            clock.set(jump)
            deadline = time.monotonic() + DEADLINE_S
            while abs(ahead(server) - jump) > timedelta(minutes=10):
                assert time.monotonic() < deadline, "the clock has not jumped"
            swept = time.monotonic() + 2
            while time.monotonic() < swept:
                ahead(server)
        clock.set(timedelta())
        assert server.stop() == 0
    assert [record["message"] for record in server.records()] == ["serving", "stopping", "stopped"]
