"""A real application process on a free port, for tests."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

import httpx

from tests.server_process import DEADLINE_S, ROOT


class ApplicationProcess:
    """Start ``python -m application`` before an endpoint, wait until it is ready, and stop it."""

    def __init__(self, endpoint: str, *flags: str, log: Path) -> None:
        self.log = log
        self._command = [
            *(sys.executable, "-m", "application", "--host", "127.0.0.1", "--port", "0"),
            *("--endpoint", endpoint, *flags),
        ]

    def __enter__(self) -> Self:
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        with self.log.open("wb") as stream:
            self.process = subprocess.Popen(
                self._command, cwd=ROOT, stdout=stream, stderr=stream, env=environment
            )
        try:
            self.url = f"http://127.0.0.1:{self._port()}"
            self._wait_ready()
        except BaseException:
            self.stop(signal.SIGKILL)
            raise
        self.client = httpx.Client(base_url=self.url, timeout=30, headers={"accept": "text/html"})
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()
        self.stop()

    def stop(self, sig: signal.Signals = signal.SIGTERM) -> int:
        """Signal the process and return its exit status."""
        self.process.send_signal(sig)
        return self.process.wait(DEADLINE_S)

    def records(self) -> list[dict[str, Any]]:
        """Return the log, parsed; a line that is not JSON is an error."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def _port(self) -> int:
        for record in self._polled_records():
            if record["message"] == "serving":
                return int(record["port"])
        raise RuntimeError(f"the application exited:\n{self.log.read_text()}")

    def _polled_records(self) -> list[dict[str, Any]]:
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline and self.process.poll() is None:
            if self.log.read_text().endswith("\n"):
                return self.records()
            time.sleep(0.02)
        return []

    def _wait_ready(self) -> None:
        """Ask until it listens; the line comes just before."""
        deadline = time.monotonic() + DEADLINE_S
        while True:
            try:
                httpx.get(f"{self.url}/healthz/ready").raise_for_status()
            except httpx.TransportError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
            else:
                return
