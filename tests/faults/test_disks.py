"""Disks that are full, read-only or missing."""

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.processes import ROOT, ServerProcess
from tests.faults import namespaces
from tests.faults.namespaces import DISK
from tests.training import samples

pytestmark = [pytest.mark.needs("unshare"), pytest.mark.usefixtures("_namespaces")]

FULL, READ_ONLY = "No space left on device", "Read-only file system"
NOWHERE = {"PYTHONPATH": str(ROOT), "HOME": "/dev/null", "TMPDIR": "/dev/null"}
AFTERWARDS = f"""
status=0
"$@" > /dev/null || status=$?
cd {DISK}
find . -type f -not -name rest | sort | xargs sha256sum
exit $status
"""
REPLACE = f"""
import pathlib, sys
from model_server.model import directory as model_directory
rooms = pathlib.Path("{DISK}/rooms")
manifest = model_directory.read(rooms).manifest
try:
    model_directory.write(rooms, manifest, {{"model.onnx": bytes(10**7)}})
except OSError as error:
    sys.exit(error.strerror)
"""


@dataclass(frozen=True)
class Ended:
    """How a command ended, and the files on the disk by their SHA-256."""

    status: int
    error: str
    left: str


def run(setup: str, *command: str) -> Ended:
    isolated = namespaces.isolated(setup, "sh", "-ec", AFTERWARDS, "sh", *command)
    done = subprocess.run(isolated, cwd=ROOT, capture_output=True, text=True, check=False)
    return Ended(done.returncode, done.stderr, done.stdout)


@pytest.mark.parametrize(
    ("setup", "problem"), [(namespaces.full, FULL), (namespaces.read_only, READ_ONLY)]
)
def test_a_writer_leaves_what_was_there(
    models: Path, setup: namespaces.Setup, problem: str
) -> None:
    ended = run(setup(models), sys.executable, "-c", REPLACE)
    assert (ended.status, ended.error) == (1, f"{problem}\n")
    assert ended.left == run(setup(models), "true").left
    assert "./rooms/model.onnx" in ended.left


def test_a_training_run_onto_a_read_only_disk(models: Path) -> None:
    command = (sys.executable, "-m", "training", "--out", f"{DISK}/new")
    ended = run(namespaces.read_only(models), *command)
    problem = f"{DISK}/new/rooms: can't be written ({READ_ONLY})"
    assert (ended.status, ended.error) == (2, f"error: {problem}; choose another --out\n")


@dataclass(frozen=True)
class Trained:
    before: Ended
    full: Ended
    no_tmp: Ended


@pytest.fixture(scope="module")
def trained(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Train onto a full disk and, at the same time, where nothing but the disk can be written."""
    content = tmp_path_factory.mktemp("content")
    (content / "rooms").symlink_to(models / "rooms")
    (content / "rooms.csv").write_text(samples.text(samples.table(20), "area", "price"))
    arguments = ("--data", f"{DISK}/rooms.csv", "--target", "price", "--out", str(DISK))
    command = (sys.executable, "-m", "training", *arguments)
    environment = [f"{name}={value}" for name, value in NOWHERE.items()]
    with ThreadPoolExecutor() as threads:
        full = threads.submit(run, namespaces.full(content), *command)
        no_tmp = threads.submit(run, namespaces.no_tmp(content), "env", *environment, *command)
    before = run(namespaces.full(content), "true")
    return Trained(before, full.result(), no_tmp.result())


def test_a_training_run_onto_a_full_disk(trained: Trained) -> None:
    problem = f"{DISK}/rooms: can't be written ({FULL})"
    assert trained.full.status == 2
    assert trained.full.error == f"error: {problem}; choose another --out\n"
    assert trained.full.left == trained.before.left
    assert "./rooms/model.onnx" in trained.full.left


def test_a_training_run_with_no_folder_for_passing_files(trained: Trained) -> None:
    assert trained.no_tmp.status == 1
    cure = "let HOME and TMPDIR name folders to write to"
    assert re.fullmatch(f"error: .*; {cure}\n", trained.no_tmp.error)
    assert trained.no_tmp.left == trained.before.left


class IsolatedServer(ServerProcess):
    """A server with read-only models that can write nowhere."""

    def __init__(self, models: Path, log: Path) -> None:
        super().__init__(DISK, log=log, environment=NOWHERE)
        setup = f"{namespaces.no_tmp(models)}\nmount -o remount,ro {DISK}"
        self._command = namespaces.isolated(setup, *self._command)


def test_a_server_needs_nowhere_to_write(models: Path, tmp_path: Path) -> None:
    with IsolatedServer(models, tmp_path / "log") as server:
        answer = server.predict("rooms", '{"instances": [[6.5]]}', "application/json")
        assert answer.status_code == 200, answer.text
        assert server.stop() == 0
    assert [record["level"] for record in server.records()] == ["INFO"] * 3
