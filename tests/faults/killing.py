"""Writers of a model directory, killed; run as a process of its own, as it forks.

``python -m tests.faults.killing DIRECTORY moments KILLS`` kills them at random moments, ``lines``
before each line of the writer's code in turn, ``lines-without-exchange`` the same where the kernel
exchanges no directories. It ends with an error unless the old directory or the new one is whole
after each, and tells else in a line of JSON what was seen.
"""

import contextlib
import itertools
import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from model_server.model import directory as model_directory
from tests.faults.seccomp import refuse_exchange

_WRITER = {model_directory.__file__}


class Directory:
    """A model directory that is written again and again, each time as another version."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self._manifest = model_directory.read(place).manifest

    def write(self, version: str) -> None:
        """Write it; its files are none that a server could load."""
        manifest = self._manifest.model_copy(update={"version": version})
        model_directory.write(
            self.place, manifest, {model_directory.ONNX: version.encode() * 20_000}
        )

    def version(self) -> str:
        """Read it, which fails if it is not whole."""
        return model_directory.read(self.place).manifest.version

    def fail(self) -> None:
        """Begin to write it, but not to the end."""
        with contextlib.suppress(FileNotFoundError):
            model_directory.write(self.place, self._manifest, {"no/such/folder": b""})

    def left(self) -> int:
        """Count the side folders, which the next writer deletes; so there is one at most."""
        left = [path for path in self.place.parent.iterdir() if path.name.startswith(".")]
        if len(left) > 1:
            raise AssertionError(f"side folders were left: {left}")
        return len(left)


def at_random_moments(directory: Directory, kills: int) -> dict[str, Any]:
    """Kill endless writers."""

    def write_on() -> None:
        for number in itertools.count():
            directory.write(f"{os.getpid()}-{number}")

    rng = random.Random(0)
    versions, amid = set(), 0
    for _ in range(kills):
        pid = _fork(write_on)
        time.sleep(rng.uniform(0, 0.05))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        versions.add(directory.version())
        amid += directory.left() > 0
    directory.write("last")
    return {"versions": len(versions), "amid": amid, "left": directory.left()}


def at_each_line(directory: Directory, *, exchanges: bool) -> dict[str, Any]:
    """Kill one writer before each line that it runs."""
    if not exchanges:
        refuse_exchange()
    directory.write("new-0")
    seen = {"old": 0, "new": 0, "missing": 0}
    for line in itertools.count(1):
        old, new = directory.version(), f"new-{line}"
        status = os.waitpid(_fork(lambda: _write_up_to(directory, new, line)), 0)[1]  # noqa: B023 - run at once
        if not directory.place.exists():
            seen["missing"] += 1
            directory.fail()
        found, left = directory.version(), directory.left()
        if found not in {old, new}:
            raise AssertionError(f"line {line}: {found}")
        seen["new" if found == new else "old"] += 1
        if not os.WIFSIGNALED(status):
            return {**seen, "left": left}
    raise AssertionError


def _write_up_to(directory: Directory, version: str, last: int) -> None:
    lines = itertools.count(1)

    def trace(frame: FrameType, event: str, _: object) -> Callable[..., Any] | None:
        if frame.f_code.co_filename not in _WRITER:
            return None
        if event == "line" and next(lines) == last:
            os.kill(os.getpid(), signal.SIGKILL)
        return trace

    sys.settrace(trace)
    directory.write(version)


def _fork(work: Callable[[], None]) -> int:
    """Run `work` in a child."""
    pid = os.fork()
    if not pid:
        try:
            work()
        finally:
            os._exit(0)
    return pid


if __name__ == "__main__":
    place, way, *kills = sys.argv[1:]
    written = Directory(Path(place))
    seen = (
        at_random_moments(written, int(*kills))
        if way == "moments"
        else at_each_line(written, exchanges=way == "lines")
    )
    json.dump(seen, sys.stdout)
