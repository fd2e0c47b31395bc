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


def stock(model: Model, port: int) -> list[str]:
    """Return the command that serves `model` with KServe alone."""
    return [
        *(sys.executable, "-m", "bench.stock", "--model_name", model.name),
        *("--http_port", str(port), "--grpc_port", str(_free_port())),
        str(model.directory / "model.joblib"),
    ]


def ceiling(port: int, length: int) -> list[str]:
    """Return the command that answers anything with `length` bytes."""
    return [
        *(sys.executable, "-m", "bench.ceiling", "--port", str(port), "--length", str(length)),
    ]


def ours(model: Model, port: int) -> list[str]:
    """Return the command that serves `model` with this server."""
    return [
        *(sys.executable, "-m", "model_server", "--models", str(model.directory.parent)),
        *("--http-port", str(port), "--grpc-port", str(_free_port())),
    ]
