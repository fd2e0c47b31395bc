"""The machine and the versions that figures hold for."""

import os
import platform
import re
import time
from importlib import metadata
from pathlib import Path

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
    """Return what to know of CPU, kernel, Python and libraries."""
    return {
        "CPU": f"{_cpu_model()}, {os.cpu_count()} cores",
        "kernel": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "libraries": ", ".join(f"{name} {metadata.version(name)}" for name in _LIBRARIES),
    }


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
