"""The server as process 1, for which signals have no default action."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.processes import DEADLINE_S, ROOT, until


def child(process: subprocess.Popen[bytes]) -> int:
    """Return the id that the process which `unshare` has started has out here."""
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    until("it has a child", lambda: bool(listed.read_text()), every_s=0)
    return int(listed.read_text())


def is_python(pid: int) -> bool:
    return "python" in Path(f"/proc/{pid}/exe").readlink().name


def imports(pid: int) -> bool:
    return "numpy" in Path(f"/proc/{pid}/maps").read_text()


@pytest.mark.needs("unshare")
@pytest.mark.usefixtures("_namespaces")
@pytest.mark.parametrize("reached", [is_python, imports])
@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_while_it_starts(
    models: Path, reached: Callable[[int], bool], sig: signal.Signals
) -> None:
    start = [
        "unshare",
        "--map-root-user",
        "--pid",
        "--fork",
        "--kill-child",
        str(ROOT / "start.sh"),
    ]
    ports = ("--http-port", "0", "--no-grpc")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    with subprocess.Popen(
        [*start, "--models", str(models), *ports],
        cwd=ROOT,
        env={**os.environ, "PATH": path},
        stderr=subprocess.PIPE,
    ) as process:
        try:
            pid = child(process)
            until("it is there", lambda: reached(pid), every_s=0)
            os.kill(pid, sig)
            assert process.wait(DEADLINE_S) == 0
            assert process.stderr is not None
            assert process.stderr.read() == b""
        finally:
            process.kill()
