"""``make run``: both answer, and end together, on a signal or when one of them does."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from harness.ports import reserve_port
from harness.processes import DEADLINE_S, ROOT, until

pytestmark = pytest.mark.needs("make")

PARTS = ["model_server", "application"]


class MakeRun:
    """``make run`` in a folder with trained models, on free ports and in a process group."""

    def __init__(self, folder: Path, models: Path) -> None:
        self._folder = folder
        for name in ("Makefile", "run.py", *PARTS):
            (folder / name).symlink_to(ROOT / name)
        shutil.copytree(models, folder / "models")
        self.ports = {name: reserve_port() for name in ("PORT", "GRPC_PORT", "APPLICATION_PORT")}
        self.server = f"http://127.0.0.1:{self.ports['PORT']}"
        self.page = f"http://127.0.0.1:{self.ports['APPLICATION_PORT']}"

    def start(self) -> None:
        """Start it, and wait until it has told that both are ready."""
        with (self._folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                self.command(), cwd=self._folder, stdout=log, stderr=log, start_new_session=True
            )
        until("the page's address", lambda: "Open " in self.told() or bool(self.process.poll()))
        assert "Open " in self.told(), self.told()

    def command(self) -> list[str]:
        ports = [f"{name}={port}" for name, port in self.ports.items()]
        installed = ("--assume-old=packages", f"BIN={Path(sys.executable).parent}")
        return ["make", "--no-print-directory", "run", *installed, *ports]

    def told(self) -> str:
        return (self._folder / "log").read_text()

    def refuse(self) -> list[str]:
        """Start it where it must not begin, and return the lines that it says."""
        ended = subprocess.run(
            self.command(),
            cwd=self._folder,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
        assert ended.returncode == 2
        assert ended.stdout == ""
        return ended.stderr.splitlines()

    def left(self, module: str = "") -> list[int]:
        """Return the processes with one of the ports, which none but these were given."""
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                words = path.read_text().split("\0")
                if {str(port) for port in self.ports.values()} & set(words) and (
                    not module or module in words
                ):
                    found.append(int(path.parent.name))
        return found


@pytest.fixture
def make_run(models: Path, tmp_path: Path) -> MakeRun:
    return MakeRun(tmp_path, models)


@pytest.fixture
def running(make_run: MakeRun) -> Iterator[MakeRun]:
    try:
        make_run.start()
        yield make_run
    finally:
        for pid in make_run.left():
            os.kill(pid, signal.SIGKILL)
        make_run.process.wait(DEADLINE_S)


def test_both_answer_where_it_says(running: MakeRun) -> None:
    asked = httpx.post(f"{running.server}/v1/models/rooms:predict", json={"instances": [[6.5]]})
    page = httpx.get(f"{running.page}/?RM=6.5", headers={"accept": "text/html"}).text

    [value] = asked.json()["predictions"]
    assert f'<data value="{value}">' in page
    assert f"curl http://localhost:{running.ports['PORT']}/v1/models/" in running.told()
    assert running.told().endswith(
        f"\nOpen http://localhost:{running.ports['APPLICATION_PORT']}/\n\n"
    )


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_both(running: MakeRun, sig: signal.Signals) -> None:
    """Ctrl-C reaches the whole group, SIGTERM make alone; make itself ends by the signal."""
    if sig == signal.SIGINT:
        os.killpg(running.process.pid, sig)
    else:
        running.process.send_signal(sig)

    assert running.process.wait(DEADLINE_S) == -sig
    assert running.left() == []
    assert '"message":"stopped"' in running.told()
    assert "at once" not in running.told(), "each is signalled once, as a second one cuts short"


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_no_failure(running: MakeRun, sig: signal.Signals) -> None:
    [runner] = running.left("run.py")

    os.kill(runner, sig)

    assert running.process.wait(DEADLINE_S) == 0
    assert running.left() == []


@pytest.mark.parametrize("victim", PARTS)
def test_when_one_dies_the_other_ends(running: MakeRun, victim: str) -> None:
    [pid] = running.left(victim)

    os.kill(pid, signal.SIGKILL)

    assert running.process.wait(DEADLINE_S) == 2
    assert running.left() == []
    assert f"\n{victim} ended with status -9, so both end\n" in running.told()


@pytest.mark.parametrize("name", ["PORT", "GRPC_PORT", "APPLICATION_PORT"])
def test_a_taken_port_is_told(make_run: MakeRun, name: str) -> None:
    port = make_run.ports[name]
    with socket.create_server(("127.0.0.1", port)):
        first, *rest = make_run.refuse()

    assert first == f"port {port} is taken: choose another, {name}=..."
    assert len(rest) == 1, "make says that the recipe failed"


def test_an_unsuitable_python_is_told(tmp_path: Path) -> None:
    for name in ("Makefile", "requirements"):
        (tmp_path / name).symlink_to(ROOT / name)

    ended = subprocess.run(
        ["make", "run", "PYTHON=false"], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert ended.returncode == 2
    assert ended.stdout == (
        "model-server needs Python 3.11, 3.12 or 3.13; set PYTHON=/path/to/python3\n"
    )
    assert not (tmp_path / ".venv").exists()
