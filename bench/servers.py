"""The servers: each started on a CPU of its own, watched until it answers, and ended by its id."""

import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.errors import BenchError
from bench.models import JSON, Model
from model_server.model.directory import JOBLIB
from model_server.settings import PREFIX

STOCK = "stock KServe"
CEILING = "ceiling"
OURS = "this server"

ROOT = Path(__file__).parent.parent
HOST = "127.0.0.1"

_START_TIMEOUT_S = 60.0
_POLL_S = 0.002


@dataclass(frozen=True)
class Running:
    """A server that answers.

    Attributes
    ----------
    url : str
        The route that predicts.
    answer : bytes
        The body of its first 200, for one row.
    start_s : float
        From the start of the process to the end of that answer.
    """

    url: str
    answer: bytes
    start_s: float
    _pid: int

    @property
    def rss_mb(self) -> float:
        """The memory that is resident now, in 10^6 bytes: VmRSS of proc_pid_status(5)."""
        lines = Path(f"/proc/{self._pid}/status").read_text(encoding="ascii").splitlines()
        [kib] = [line.split()[1] for line in lines if line.startswith("VmRSS:")]
        return int(kib) * 1024 / 1e6


@contextmanager
def start(
    server: str, model: Model, cpu: int, folder: Path, ceiling_length: int
) -> Iterator[Running]:
    """Start a server on one CPU, wait until it predicts a row, and end it after the block.

    Parameters
    ----------
    server : str
        `STOCK`, `CEILING` or `OURS`.
    model : Model
    cpu : int
    folder : Path
        Where its log is written.
    ceiling_length : int
        Of the ceiling's answer, in bytes.

    Raises
    ------
    BenchError
        If it does not start, answers wrongly, or such an error comes out of the block; with the
        last line of its log.
    """
    port = _free_port()
    command = _command(server, model, port, ceiling_length)
    log = folder / "server.log"
    environment = {name: os.environ[name] for name in os.environ if not name.startswith(PREFIX)}
    with log.open("wb") as stream:
        began = time.perf_counter()
        process = subprocess.Popen(
            ["taskset", "-c", str(cpu), sys.executable, "-m", *command],
            cwd=ROOT,
            env=environment,
            stdout=stream,
            stderr=stream,
        )
    try:
        answer = _first_answer(process, port, model)
        running = Running(
            f"http://{HOST}:{port}{model.path}", answer, time.perf_counter() - began, process.pid
        )
        if server != CEILING:
            model.check(answer)
        yield running
    except BenchError as error:
        last = log.read_text(errors="replace").strip().rpartition("\n")[2]
        raise BenchError(f"{server}, {model.name}: {error}; its log ends: {last}") from error
    finally:
        process.kill()
        process.wait()


def _command(server: str, model: Model, port: int, ceiling_length: int) -> list[str]:
    joblib, models = model.directory / JOBLIB, model.directory.parent
    grpc_port = _free_port()
    line = {
        STOCK: f"bench.stock --http_port {port} --grpc_port {grpc_port} --model_name {model.name}",
        CEILING: f"bench.ceiling --port {port} --length {ceiling_length}",
        OURS: f"model_server --http-port {port} --grpc-port {grpc_port} --models",
    }
    files = {STOCK: [str(joblib)], CEILING: [], OURS: [str(models)]}
    return [*line[server].split(), *files[server]]


def _first_answer(process: subprocess.Popen[bytes], port: int, model: Model) -> bytes:
    body = model.body(1, JSON)
    deadline = time.monotonic() + _START_TIMEOUT_S
    seen = "no answer"
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise BenchError(f"ended at its start with status {process.returncode}")
        connection = http.client.HTTPConnection(HOST, port, timeout=_START_TIMEOUT_S)
        try:
            connection.request("POST", model.path, body, {"content-type": JSON})
            response = connection.getresponse()
            answer = response.read()
            if response.status == http.HTTPStatus.OK:
                return answer
            seen = f"status {response.status}"
        except ConnectionError:
            time.sleep(_POLL_S)
        finally:
            connection.close()
    raise BenchError(f"{seen} in {_START_TIMEOUT_S:g} s")


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        return int(listener.getsockname()[1])
