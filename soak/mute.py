"""Mute: nobody reads standard error, and every request is answered all the same."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx

from harness.ports import HOST
from harness.processes import DEADLINE_S, ROOT
from soak.scenario import Outcome, some

_LONG = "x" * 2000
_TIMEOUT_S = 10.0
_STOP_S = 5.0


def run(
    models: Path,
    folder: Path,  # noqa: ARG001
    *,
    requests: int = 20_000,
    judge_timings: bool = True,
) -> Outcome:
    """Send bad requests, each of which is logged, and stop the server.

    Parameters
    ----------
    models : Path
        Trained model directories, ``rooms`` among them.
    folder : Path
        Not used.
    requests : int
    judge_timings : bool
        Whether the time of the stop decides, too.
    """
    command = [sys.executable, "-m", "model_server", "--models", str(models), "--no-grpc"]
    flags = ("--http-port=0", "--access-log", "--drain-delay-s=0")
    read, write = os.pipe()
    wrong: list[str] = []
    with os.fdopen(read, "rb") as stderr:
        process = subprocess.Popen([*command, *flags], cwd=ROOT, stderr=write)
        os.close(write)
        try:
            port = json.loads(stderr.readline())["http_port"]
            wrong += _ask(port, requests)
            begun = time.monotonic()
            process.send_signal(signal.SIGTERM)
            status = process.wait(DEADLINE_S)
            stopped_s = time.monotonic() - begun
        finally:
            process.kill()
            process.wait()
    return Outcome(
        asked="with standard error that nobody reads every request is answered, and the stop is as "
        "short as ever",
        seen=f"{requests:,} bad requests, {some(wrong)} not answered 404; exit status {status} "
        f"after {stopped_s:.1f} s",
        held=not wrong and status == 0 and (stopped_s < _STOP_S or not judge_timings),
    )


def _ask(port: int, requests: int) -> list[str]:
    wrong = []
    with httpx.Client(base_url=f"http://{HOST}:{port}", timeout=_TIMEOUT_S) as client:
        for number in range(requests):
            try:
                status = client.get(f"/v1/models/{_LONG}").status_code
            except httpx.TransportError as error:
                wrong.append(f"number {number}: {error!r}")
                break
            if status != httpx.codes.NOT_FOUND:
                wrong.append(f"number {number}: status {status}")
    return wrong
