"""A clock that jumps while a server runs."""

import subprocess
import time
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from tests.server_process import DEADLINE_S, ServerProcess

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


@pytest.mark.needs("faketime")
def test_predictions_and_the_drain_go_on(models: Path, tmp_path: Path) -> None:
    clock = Clock(tmp_path / "clock")
    with ServerProcess(models, log=tmp_path / "log", environment=clock.environment) as server:
        for jump in (DAY, -DAY):
            clock.set(jump)
            deadline = time.monotonic() + DEADLINE_S
            while abs(ahead(server) - jump) > timedelta(minutes=10):
                assert time.monotonic() < deadline, "the clock has not jumped"
        clock.set(DAY)
        assert server.stop() == 0
    assert [record["message"] for record in server.records()] == ["serving", "stopping", "stopped"]
