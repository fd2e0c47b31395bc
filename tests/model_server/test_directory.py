"""The model directory: written whole or not at all, read only when it is what it says."""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from model_server.errors import ModelDirectoryError
from model_server.model import directory as model_directory
from model_server.model import runtime
from model_server.model.manifest import Manifest

FILES = ["manifest.json", "manifest.sha256", "model.joblib", "model.onnx", "report.html"]


def change(directory: Path, changes: dict[str, Any], *, drop: str | None = None) -> None:
    """Write the directory again with a changed manifest, its checksums in order."""
    read = model_directory.read(directory)
    files = {file: (directory / file).read_bytes() for file in read.manifest.files if file != drop}
    model_directory.write(directory, read.manifest.model_copy(update=changes), files)


@pytest.fixture
def rooms(own_models: Path) -> Path:
    return own_models / "rooms"


def test_what_was_written_is_read(rooms: Path) -> None:
    read = model_directory.read(rooms)
    assert read.manifest.name == "rooms"
    assert sorted(path.name for path in rooms.iterdir()) == FILES
    assert read.model_file == "model.onnx"
    assert read.model == (rooms / "model.onnx").read_bytes()
    assert read.digest == hashlib.sha256((rooms / "manifest.json").read_bytes()).hexdigest()


def test_sha256sum_checks_the_manifest(rooms: Path) -> None:
    subprocess.run(["sha256sum", "--check", "manifest.sha256"], cwd=rooms, check=True)


@pytest.mark.parametrize("file", FILES)
def test_a_missing_file(rooms: Path, file: str) -> None:
    (rooms / file).unlink()
    with pytest.raises(ModelDirectoryError, match=f"{file}: is missing; train the model again"):
        model_directory.read(rooms)


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("share", [0, 0.5, 0.99])
def test_a_truncated_file(rooms: Path, file: str, share: float) -> None:
    content = (rooms / file).read_bytes()
    (rooms / file).write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ModelDirectoryError) as refused:
        model_directory.read(rooms)
    assert refused.value.file == ("manifest.json" if file == "manifest.sha256" else file)


def test_a_manifest_of_another_version(rooms: Path) -> None:
    changed = {**json.loads((rooms / "manifest.json").read_text()), "format": 2}
    text = json.dumps(changed).encode()
    (rooms / "manifest.json").write_bytes(text)
    digest = hashlib.sha256(text).hexdigest()
    (rooms / "manifest.sha256").write_text(f"{digest}  manifest.json\n")
    with pytest.raises(ModelDirectoryError, match="is not a manifest of this version: format: "):
        model_directory.read(rooms)


def test_no_file_outside_the_directory_is_named() -> None:
    with pytest.raises(ValueError, match="String should match pattern"):
        Manifest.model_validate_json('{"files": {"../model.joblib": "' + "0" * 64 + '"}}')


def test_another_version_of_scikit_learn(rooms: Path) -> None:
    libraries = {**model_directory.read(rooms).manifest.libraries, "scikit-learn": "0.24.0"}
    change(rooms, {"libraries": libraries})
    runtime.load(model_directory.read(rooms))
    change(rooms, {}, drop="model.onnx")
    with pytest.raises(
        ModelDirectoryError, match=r"model\.joblib: made by scikit-learn 0\.24\.0, and"
    ):
        runtime.load(model_directory.read(rooms))


@pytest.mark.parametrize("drop", [None, "model.onnx"])
def test_a_golden_row_that_comes_out_differently(rooms: Path, drop: str | None) -> None:
    golden = model_directory.read(rooms).manifest.golden
    first, second, *rest = golden.predictions
    assert isinstance(second, float)
    wrong = golden.model_copy(update={"predictions": (first, second + 1.0, *rest)})
    change(rooms, {"golden": wrong}, drop=drop)
    with pytest.raises(ModelDirectoryError, match="golden row 2 comes out as"):
        runtime.load(model_directory.read(rooms))


@pytest.mark.parametrize("file", ["model.onnx", "model.joblib"])
def test_a_file_that_is_none_of_its_kind(rooms: Path, file: str) -> None:
    manifest = model_directory.read(rooms).manifest
    model_directory.write(rooms, manifest, {file: b"nothing of the kind"})
    with pytest.raises(ModelDirectoryError, match=f"{file}: .*; "):
        runtime.load(model_directory.read(rooms))


def test_a_write_that_fails_leaves_what_was_there(rooms: Path) -> None:
    before = model_directory.read(rooms)
    with pytest.raises(OSError, match="No such file"):
        model_directory.write(rooms, before.manifest, {"no/such/folder": b""})
    assert model_directory.read(rooms) == before
    assert [path.name for path in rooms.parent.iterdir() if path.name.startswith(".")] == []


def test_a_killed_writers_folder_is_deleted_by_the_next(rooms: Path) -> None:
    read = model_directory.read(rooms)
    left = rooms.parent / ".rooms.writing-abc"
    other = rooms.parent / ".rooms-2.writing-abc"
    for folder in (left, other):
        (folder / "new").mkdir(parents=True)
    model_directory.write(rooms, read.manifest, {"model.onnx": read.model})
    assert sorted(rooms.parent.glob(".*")) == [other]


def test_what_a_killed_writer_moved_away_is_put_back(rooms: Path) -> None:
    before = model_directory.read(rooms)
    (rooms.parent / ".rooms.writing-abc").mkdir()
    rooms.rename(rooms.parent / ".rooms.writing-abc" / "old")
    with pytest.raises(OSError, match="No such file"):
        model_directory.write(rooms, before.manifest, {"no/such/folder": b""})
    assert model_directory.read(rooms) == before


def test_a_living_writers_folder_is_left_alone(rooms: Path) -> None:
    read = model_directory.read(rooms)
    left = rooms.parent / ".rooms.writing-abc"
    left.mkdir()
    with ThreadPoolExecutor() as threads:
        with locked(rooms.parent):
            writing = threads.submit(
                model_directory.write, rooms, read.manifest, {"model.onnx": read.model}
            )
            with pytest.raises(TimeoutError):
                writing.result(timeout=0.5)
            assert left.exists()
        writing.result(timeout=60)
    assert not left.exists()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Take the turn of a writer."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def test_writers_at_once_and_readers_meanwhile(rooms: Path) -> None:
    manifest = model_directory.read(rooms).manifest

    def write(version: int) -> None:
        changed = manifest.model_copy(update={"version": str(version)})
        model_directory.write(rooms, changed, {"model.onnx": bytes(10_000) + str(version).encode()})

    with ThreadPoolExecutor(4) as threads:
        for writing in [threads.submit(write, version) for version in range(100)]:
            while not writing.done():
                assert rooms.is_dir()
            writing.result()
    assert model_directory.read(rooms).manifest.version in {
        str(version) for version in range(96, 100)
    }
    assert list(rooms.parent.glob(".*")) == []


def test_a_directory_that_is_replaced_meanwhile_is_read_again(rooms: Path) -> None:
    """A reader of a FIFO waits for its writer: by then the directory is another one."""
    other = Path(shutil.copytree(rooms, rooms.parent / "other"))
    (rooms / "manifest.sha256").unlink()
    os.mkfifo(rooms / "manifest.sha256")
    with ThreadPoolExecutor() as threads:
        reading = threads.submit(model_directory.read, rooms)
        with (rooms / "manifest.sha256").open("wb") as fifo:
            rooms.rename(rooms.parent / "old")
            other.rename(rooms)
            fifo.write(b"of another")
        assert reading.result(timeout=60).path == rooms


def test_folders_with_a_dot_are_not_models(own_models: Path) -> None:
    (own_models / ".rooms-halfway").mkdir()
    assert [path.name for path in model_directory.find(own_models)] == ["boston", "rooms"]
