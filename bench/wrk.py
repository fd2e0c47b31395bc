"""wrk, the load generator: how it is run, and what it measured."""

import json
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.errors import BenchError

_TIMEOUT_S = 30
_SCRIPT = """
local body = assert(io.open("{body}", "rb"))
wrk.method = "{method}"
wrk.body = body:read("*a")
wrk.headers["Content-Type"] = "{media_type}"
wrk.headers["Accept"] = "{media_type}"

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '{{"requests": %d, "duration_us": %d, "p50_us": %d, "p99_us": %d, "failed": %d}}\\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
"""


@dataclass(frozen=True)
class Request:
    """A request, repeated by wrk.

    Attributes
    ----------
    url : str
    body : bytes
    media_type : str
        Of the body, and of the answer asked for.
    method : str
    """

    url: str
    body: bytes
    media_type: str
    method: str = "POST"


@dataclass(frozen=True)
class Load:
    """What wrk measured: its rate, and the quantiles of the latency."""

    requests_per_s: float
    p50_ms: float
    p99_ms: float

    def __str__(self) -> str:
        return (
            f"{self.requests_per_s:,.0f} requests/s, p50 {self.p50_ms:g} ms, p99 {self.p99_ms:g} ms"
        )


def version() -> str:
    """Return the version of wrk that is installed."""
    shown = subprocess.run(["wrk", "--version"], capture_output=True, text=True, check=False)
    return (shown.stdout + shown.stderr).split("[")[0].removeprefix("wrk").strip()


class Wrk:
    """wrk on one thread, on the CPU that the calling process is on.

    Parameters
    ----------
    folder : Path
        Where its scripts are written.

    Raises
    ------
    BenchError
        If it is not installed.
    """

    def __init__(self, folder: Path) -> None:
        if shutil.which("wrk") is None:
            raise BenchError("wrk is not installed; it is the Debian package wrk")
        self._folder = folder

    def run(self, request: Request, connections: int, seconds: int) -> Load:
        """Repeat a request on each of some connections.

        Raises
        ------
        BenchError
            If a request failed or was answered with an error.
        """
        with self._started(request, connections, seconds, "load") as process:
            return _load(process)

    @contextmanager
    def beside(self, request: Request, seconds: int) -> Iterator[None]:
        """Repeat a request on one connection while the block runs, at most for `seconds`.

        Raises
        ------
        BenchError
            If a request failed or was answered with an error.
        """
        with self._started(request, 1, seconds, "beside") as process:
            yield
            process.send_signal(signal.SIGINT)
            _load(process)

    @contextmanager
    def _started(
        self, request: Request, connections: int, seconds: int, name: str
    ) -> Iterator[subprocess.Popen[str]]:
        body, script = self._folder / f"{name}.body", self._folder / f"{name}.lua"
        body.write_bytes(request.body)
        script.write_text(
            _SCRIPT.format(body=body, media_type=request.media_type, method=request.method)
        )
        command = [
            *("wrk", "--threads", "1", "--connections", str(connections)),
            *("--duration", f"{seconds}s", "--timeout", f"{_TIMEOUT_S}s"),
            *("--script", str(script), request.url),
        ]
        with subprocess.Popen(
            command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ) as process:
            try:
                yield process
            finally:
                process.kill()


def _load(process: subprocess.Popen[str]) -> Load:
    output, _ = process.communicate()
    last = output.strip().rpartition("\n")[2]
    if process.returncode != 0 or not last.startswith("{"):
        raise BenchError(f"wrk ended with status {process.returncode}: {last}")
    measured = json.loads(last)
    if not measured["requests"]:
        raise BenchError("no request was answered")
    if measured["failed"]:
        raise BenchError(f"{measured['failed']} of {measured['requests']} requests failed")
    return Load(
        measured["requests"] / measured["duration_us"] * 1e6,
        measured["p50_us"] / 1e3,
        measured["p99_us"] / 1e3,
    )
