"""Servers as processes of their own, on ports that they take and tell."""

import asyncio
import contextlib
import json
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import httpx
import psutil

from harness.ports import HOST

DEADLINE_S = 60.0
ROOT = Path(__file__).parent.parent

_POLL_S = 0.005
_SETTINGS = ("APPLICATION_", "MODEL_SERVER_")


class StartError(Exception):
    """A process ended before it served, or took too long to; after the first line comes its log."""

    def __init__(self, reason: str, log: str) -> None:
        super().__init__(f"{reason}:\n{log}")
        self.reason = reason


def until(
    what: str, reached: Callable[[], bool], deadline_s: float = DEADLINE_S, every_s: float = 0.02
) -> None:
    """Look again and again until something is reached, at most until the deadline.

    Raises
    ------
    TimeoutError
    """
    deadline = time.monotonic() + deadline_s
    while not reached():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not reached in {deadline_s} s: {what}")
        time.sleep(every_s)


class Process:
    """``python -m`` with a module, and what it wrote.

    Parameters
    ----------
    module : str
    *arguments : str
    log : Path
        The file of its output.
    environment : dict of str to str, optional
        In addition to ours, without what is set of the server and of the application there.
    """

    def __init__(
        self, module: str, *arguments: str, log: Path, environment: dict[str, str] | None = None
    ) -> None:
        self.log = log
        self._command = [sys.executable, "-m", module, *arguments]
        inherited = {
            name: text for name, text in os.environ.items() if not name.startswith(_SETTINGS)
        }
        self.environment = inherited | (environment or {})

    def start(self) -> None:
        """Start it, and wait for nothing."""
        with self.log.open("wb") as stream:
            self.process = subprocess.Popen(  # noqa: S603 - a module of ours
                self._command, cwd=ROOT, stdout=stream, stderr=stream, env=self.environment
            )

    def serving(self) -> dict[str, Any]:
        """Wait until it logs that it serves, and return that record: it tells the ports.

        Raises
        ------
        StartError
        """
        for _ in self.starting():
            for line in self.log.read_text(errors="replace").splitlines(keepends=True):
                if line.startswith("{") and line.endswith("}\n"):
                    record: dict[str, Any] = json.loads(line)
                    if record.get("message") == "serving":
                        return record
        raise AssertionError

    def starting(self) -> Iterator[None]:
        """Yield every now and then as long as it may take to start.

        Raises
        ------
        StartError
            If it ended, or took too long.
        """
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline:
            status = self.process.poll()
            yield
            if status is not None:
                raise self._failure(f"ended at its start with status {status}")
            time.sleep(_POLL_S)
        raise self._failure(f"does not serve after {DEADLINE_S:g} s")

    def stop(self, sig: signal.Signals = signal.SIGTERM) -> int:
        """Signal it, and return its exit status."""
        self.process.send_signal(sig)
        try:
            return self.process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            return self.kill()

    def kill(self) -> int:
        """End it at once, and return its exit status."""
        self.process.kill()
        return self.process.wait()

    def records(self) -> list[dict[str, Any]]:
        """Return its log, parsed; a line that is not JSON is an error."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    @property
    def rss_mb(self) -> float:
        """Its memory that is resident now, in 10^6 bytes, with that of the processes it started.

        Its own is VmRSS of proc_pid_status(5). Those share pages, of which each has its share: the
        Pss of proc_pid_smaps(5).
        """
        own = psutil.Process(self.process.pid)
        shares = 0
        for child in own.children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):  # it has ended
                shares += child.memory_full_info().pss
        return float(own.memory_info().rss + shares) / 1e6

    def _failure(self, reason: str) -> StartError:
        return StartError(reason, self.log.read_text(errors="replace"))


class _Site(Process):
    """A process that serves HTTP while the block runs.

    Attributes
    ----------
    url : str
    client : httpx.Client
        For it.
    """

    _ready: str
    _verify: ssl.SSLContext | bool = True
    _headers: dict[str, str] | None = None

    def __enter__(self) -> Self:
        self.start()
        try:
            self.url = self._address(self.serving())
            self._wait_ready()
        except BaseException:
            self.kill()
            raise
        self.client = httpx.Client(
            base_url=self.url, timeout=30, verify=self._verify, headers=self._headers
        )
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()
        self.stop()

    def _address(self, serving: dict[str, Any]) -> str:
        """Return the address, from the record that tells the port."""
        raise NotImplementedError

    def _wait_ready(self) -> None:
        with httpx.Client(base_url=self.url, verify=self._verify) as asking:
            for _ in self.starting():
                try:
                    if asking.get(self._ready).status_code == httpx.codes.OK:
                        return
                except httpx.TransportError:
                    continue


class ServerProcess(_Site):
    """The model server.

    Parameters
    ----------
    models : Path
        Its model directories.
    *flags : str
        Settings as on its command line.
    log : Path
    word : str, optional
        The first on the command line.
    environment : dict of str to str, optional
    authority : Path, optional
        Who signed its certificate, where it has one.
    """

    http_port: int
    grpc_port: int
    health_port: int | None

    def __init__(
        self,
        models: Path,
        *flags: str,
        log: Path,
        word: str | None = None,
        environment: dict[str, str] | None = None,
        authority: Path | None = None,
    ) -> None:
        ports = ("--http-port", "0", "--grpc-port", "0")
        words = () if word is None else (word,)
        super().__init__(
            *("model_server", *words, "--models", str(models), *ports, *flags),
            log=log,
            environment=environment,
        )
        self._scheme = "http"
        self._ready = "/v2/health/ready" if word is None else "/ping"
        if authority is not None:
            self._scheme, self._verify = "https", ssl.create_default_context(cafile=authority)

    def predict(
        self, model: str, content: bytes | str, content_type: str | None, accept: str | None = None
    ) -> httpx.Response:
        """Ask for predictions, by v1."""
        headers = {"content-type": content_type, "accept": accept}
        return self.client.post(
            f"/v1/models/{model}:predict",
            content=content,
            headers={name: value for name, value in headers.items() if value is not None},
        )

    def _address(self, serving: dict[str, Any]) -> str:
        self.http_port, self.grpc_port = serving["http_port"], serving["grpc_port"]
        self.health_port = serving.get("health_port")
        return f"{self._scheme}://{HOST}:{self.http_port}"


class ApplicationProcess(_Site):
    """The application before an endpoint."""

    def __init__(self, endpoint: str, *flags: str, log: Path) -> None:
        super().__init__(
            *("application", "--host", HOST, "--port", "0", "--endpoint", endpoint, *flags),
            log=log,
            environment={"PYTHONDONTWRITEBYTECODE": "1"},
        )
        self._ready = "/healthz/ready"
        self._headers = {"accept": "text/html"}

    def _address(self, serving: dict[str, Any]) -> str:
        return f"http://{HOST}:{serving['port']}"


@asynccontextmanager
async def serve(models: Path, *flags: str, log: Path) -> AsyncIterator[ServerProcess]:
    """Start a server beside what the event loop does, and end it after the block."""
    server = ServerProcess(models, *flags, log=log)
    start = asyncio.create_task(asyncio.to_thread(server.__enter__))
    try:
        await asyncio.shield(start)
        yield server
    finally:
        await start
        await asyncio.to_thread(server.__exit__, None, None, None)


def refuse(models: Path, *flags: str, word: str | None = None) -> str:
    """Start a server that must refuse to, and return the one line that it says.

    Raises
    ------
    AssertionError
        If it does not refuse.
    """
    words = () if word is None else (word,)
    command = [sys.executable, "-m", "model_server", *words, "--models", str(models), *flags]
    ended = subprocess.run(  # noqa: S603 - a module of ours
        command, cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )
    if ended.returncode != 1:
        raise AssertionError(ended.stderr)
    [line] = ended.stderr.splitlines()
    return str(json.loads(line)["message"])
