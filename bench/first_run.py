"""``make first-run``: how long ``make run`` takes in a fresh clone, from nothing to an open page.

Once with empty caches of pip and uv and once with those that the first left. What is measured is
the last commit. It needs git and make, and nothing but Python's own library.
"""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from typing import NamedTuple

from bench.errors import BenchError
from harness.machine import Others

ROOT = Path(__file__).parent.parent
DEADLINE_S = 300.0
STOP_S = 60.0
# What the output says when a part is done.
PARTS = {
    "packages": re.compile(r"\.venv: ready"),
    "models": re.compile(r"written: .*boston"),
    "open": re.compile(r"Open http://"),
}


class Caches(NamedTuple):
    """What was there before, and how many seconds it may take until the page is open."""

    name: str
    asked_s: int


EMPTY, FULL = Caches("empty", 90), Caches("full", 30)


def main() -> int:
    """Measure both and print a table; return the exit status."""
    folder = Path(tempfile.mkdtemp(prefix="first-run-"))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        others = Others()
        rows = [_row(folder, caches) for caches in (EMPTY, FULL)]
        share = others.share()
    except (BenchError, OSError, subprocess.CalledProcessError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print("\nSeconds after `make run` in a fresh clone:\n")
    print("| caches | packages there | models trained | page open | at most | holds | CPU |")
    print("|-|-:|-:|-:|-:|-|-:|")
    print("\n".join(rows))
    print(f"\n{os.cpu_count()} CPUs; other processes took about {share:.0%} of their time")
    return 0


def _row(folder: Path, caches: Caches) -> str:
    """Measure, and tell the time that the CPUs were busy with it, start and stop included."""
    busy_s = sum(os.times()[2:4])
    seconds = _measure(folder, caches)
    busy_s = sum(os.times()[2:4]) - busy_s
    told = " | ".join(f"{seconds[part]:.1f}" for part in PARTS)
    holds = "yes" if seconds["open"] <= caches.asked_s else "no"
    return f"| {caches.name} | {told} | {caches.asked_s} | {holds} | {busy_s:.1f} |"


def _measure(folder: Path, caches: Caches) -> dict[str, float]:
    """Clone, run until the page is open, see that it is, and stop."""
    clone = folder / caches.name
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", ROOT, clone], check=True)
    ports = dict(zip(("PORT", "GRPC_PORT", "APPLICATION_PORT"), _free_ports(3), strict=True))
    print(f"caches {caches.name}: make run", flush=True)
    begun = time.monotonic()
    process = subprocess.Popen(
        ["make", "run", *(f"{name}={port}" for name, port in ports.items())],
        cwd=clone,
        env=_environment(folder / "cache"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    overdue = threading.Timer(DEADLINE_S, _signal, (process, signal.SIGTERM))
    overdue.start()
    try:
        seconds = _follow(process, begun)
        with urllib.request.urlopen(f"http://127.0.0.1:{ports['APPLICATION_PORT']}/") as page:
            page.read()
        return seconds
    finally:
        overdue.cancel()
        _stop(process)


def _follow(process: subprocess.Popen[str], begun: float) -> dict[str, float]:
    """Return how long each part took, once the last is done."""
    assert process.stdout
    seconds: dict[str, float] = {}
    lines = []
    for line in process.stdout:
        lines.append(line)
        for part, done in PARTS.items():
            if done.search(line):
                seconds[part] = time.monotonic() - begun
                print(f"  {seconds[part]:5.1f} s: {line.rstrip()}", flush=True)
        if "open" in seconds:
            return seconds
    raise BenchError(f"make run ended before the page was open:\n{''.join(lines[-15:])}")


def _stop(process: subprocess.Popen[str]) -> None:
    """End it as Ctrl-C does, and in the end by force."""
    _signal(process, signal.SIGINT)
    try:
        process.communicate(timeout=STOP_S)
    except subprocess.TimeoutExpired:
        _signal(process, signal.SIGKILL)
        process.communicate()


def _signal(process: subprocess.Popen[str], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _environment(cache: Path) -> dict[str, str]:
    """Return this environment with own caches, without what make and a virtual one add."""
    foreign = (
        "MAKE",
        "PYTHON",
        "MFLAGS",
        "VIRTUAL_ENV",
        "MODEL_SERVER_",
        "APPLICATION_",
        "UV_CACHE",
    )
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return {**kept, "PIP_CACHE_DIR": str(cache / "pip"), "UV_CACHE_DIR": str(cache / "uv")}


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as open_sockets:
        found = [open_sockets.enter_context(socket.socket()) for _ in range(count)]
        for listener in found:
            listener.bind(("127.0.0.1", 0))
        return [listener.getsockname()[1] for listener in found]


if __name__ == "__main__":
    sys.exit(main())
