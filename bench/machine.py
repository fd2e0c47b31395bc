"""The machine and the versions that figures hold for."""

import os
import platform
import re
import subprocess
import time
from importlib import metadata
from pathlib import Path

from bench.errors import BenchError

_LIBRARIES = (
    "kserve",
    "fastapi",
    "starlette",
    "uvicorn",
    "httptools",
    "uvloop",
    "orjson",
    "numpy",
    "scikit-learn",
    "onnxruntime",
)


def facts() -> dict[str, str]:
    """Return what to know of CPU, kernel, Python, libraries and wrk."""
    return {
        "CPU": f"{_cpu_model()}, {os.cpu_count()} cores",
        "kernel": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "libraries": ", ".join(f"{name} {metadata.version(name)}" for name in _LIBRARIES),
        "wrk": _wrk_version(),
    }


def cpus() -> list[int]:
    """Return the CPUs that this process may use.

    Raises
    ------
    BenchError
        If there is one only.
    """
    found = sorted(os.sched_getaffinity(0))
    if len(found) < 2:
        raise BenchError("there is one CPU; the servers and the load need one each")
    return found


class Others:
    """What other processes take of the CPUs from now on; figures beside such load mean little."""

    def __init__(self) -> None:
        self._begun_s = _others_s()
        self._begun = time.monotonic()

    def share(self) -> float:
        """Return the share of all CPUs' time, between 0 and 1.

        Once the processes started here have ended; before that, theirs counts as others'.
        """
        elapsed_s = (time.monotonic() - self._begun) * (os.cpu_count() or 1)
        return max(0.0, _others_s() - self._begun_s) / elapsed_s


def _others_s() -> float:
    _, user, nice, system, _idle, _iowait, irq, softirq, steal, *_ = (
        Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()
    )
    ticks = sum(map(int, (user, nice, system, irq, softirq, steal)))
    own = os.times()
    return ticks / os.sysconf("SC_CLK_TCK") - sum(own[:4])


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    found = re.search(r"^model name\s*: (.+)$", info, re.MULTILINE)
    return found[1] if found else platform.machine()


def _wrk_version() -> str:
    shown = subprocess.run(["wrk", "--version"], capture_output=True, text=True, check=False)
    return (shown.stdout + shown.stderr).split("[")[0].removeprefix("wrk").strip()
