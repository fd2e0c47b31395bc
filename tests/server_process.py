"""A real server process on free ports, for tests."""

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

DEADLINE_S = 60.0
ROOT = Path(__file__).parent.parent


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def until(what: str, reached: Callable[[], bool]) -> None:
    """Look again and again until something is reached, at most until the deadline."""
    deadline = time.monotonic() + DEADLINE_S
    while not reached():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not reached in {DEADLINE_S} s: {what}")
        time.sleep(0.02)


class ServerProcess:
    """Start ``python -m model_server`` and wait until it is ready; stop it at the end."""

    def __init__(
        self,
        models: Path,
        *flags: str,
        log: Path,
        word: str | None = None,
        environment: dict[str, str] | None = None,
        authority: Path | None = None,
    ) -> None:
        self.http_port, self.grpc_port = free_port(), free_port()
        self.url = f"http{'s' if authority else ''}://127.0.0.1:{self.http_port}"
        self._ready = "/ping" if word else "/v2/health/ready"
        self._verify = ssl.create_default_context(cafile=authority) if authority else True
        self.log = log
        self._command = [
            *(sys.executable, "-m", "model_server", *((word,) if word else ())),
            *("--models", str(models), "--http-port", str(self.http_port)),
            *("--grpc-port", str(self.grpc_port), *flags),
        ]
        self._environment = {**os.environ, **(environment or {})}

    def __enter__(self) -> Self:
        with self.log.open("wb") as stream:
            self.process = subprocess.Popen(
                self._command, cwd=ROOT, stdout=stream, stderr=stream, env=self._environment
            )
        try:
            self._wait_ready()
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise
        self.client = httpx.Client(base_url=self.url, timeout=30, verify=self._verify)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.client.close()
        self.stop()

    def stop(self, sig: signal.Signals = signal.SIGTERM) -> int:
        """Signal the process and return its exit status."""
        self.process.send_signal(sig)
        try:
            return self.process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def predict(
        self, model: str, content: bytes | str, content_type: str | None, accept: str | None = None
    ) -> httpx.Response:
        headers = {"content-type": content_type, "accept": accept}
        return self.client.post(
            f"/v1/models/{model}:predict",
            content=content,
            headers={name: value for name, value in headers.items() if value is not None},
        )

    def records(self) -> list[dict[str, Any]]:
        """Return the log, parsed; a line that is not JSON is an error."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def _wait_ready(self) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"the server exited:\n{self.log.read_text()}")
            try:
                if httpx.get(self.url + self._ready, verify=self._verify).status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.05)
        raise TimeoutError(f"not ready in {DEADLINE_S} s:\n{self.log.read_text()}")


def refuse(models: Path, *flags: str, word: str | None = None) -> str:
    """Start a server that must refuse to, and return the one line that it says."""
    start = [sys.executable, "-m", "model_server", *((word,) if word else ())]
    command = [*start, "--models", str(models), *flags]
    ended = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )
    assert ended.returncode == 1, ended.stderr
    [line] = ended.stderr.splitlines()
    return str(json.loads(line)["message"])
