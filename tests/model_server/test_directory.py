"""The model directory: written whole or not at all, read only when it is what it says."""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from model_server.errors import ModelDirectoryError
from model_server.model import directory as model_directory
from model_server.model import loading, without_manifest
from model_server.model.manifest import Feature, Golden, Manifest, Tolerance

NOBODY = 65534
FILES = ["manifest.json", "manifest.sha256", "model.joblib", "model.onnx", "report.html"]


def golden(instances: tuple[Any, ...], predictions: tuple[Any, ...]) -> Golden:
    """Return what no manifest may hold."""
    return Golden.model_construct(instances=instances, predictions=predictions)


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
    loading.load(model_directory.read(rooms))
    change(rooms, {}, drop="model.onnx")
    with pytest.raises(
        ModelDirectoryError, match=r"model\.joblib: made by scikit-learn 0\.24\.0, and"
    ):
        loading.load(model_directory.read(rooms))


@pytest.mark.parametrize("drop", [None, "model.onnx"])
def test_a_golden_row_that_comes_out_differently(rooms: Path, drop: str | None) -> None:
    golden = model_directory.read(rooms).manifest.golden
    first, second, *rest = golden.predictions
    assert isinstance(second, float)
    wrong = golden.model_copy(update={"predictions": (first, second + 1.0, *rest)})
    change(rooms, {"golden": wrong}, drop=drop)
    with pytest.raises(ModelDirectoryError, match="golden row 2 comes out as"):
        loading.load(model_directory.read(rooms))


LOOSE = Tolerance.model_construct(absolute=1e308, relative=0.0)
ABOVE_ALL = Tolerance.model_construct(absolute=0.0, relative=1e308)
BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "no-rows": ({"golden": golden((), ())}, "golden.instances: .* at least 1 item"),
    "no-answers": ({"golden": golden(((6.5,),), ())}, "golden: 1 instances have 0 predictions"),
    "no-number": ({"golden": golden((("six",),), (2e4,))}, "golden rows are none of the model's"),
    "too-long": ({"golden": golden(((6.5, 1.0),), (2e4,))}, "golden rows are none of the model's"),
    "loose": ({"tolerance": LOOSE}, "golden: with a tolerance of 1e[+]308 they check nothing"),
    "above-all": ({"tolerance": ABOVE_ALL}, "tolerance.relative: .* less than or equal to 0.01"),
    "twice": ({"features": (Feature(name="RM"),) * 2}, "features: 'RM' is listed twice"),
    "labels": ({"task": "classification"}, "golden: with a tolerance of .* 0 is the most"),
}
"""Changes of the manifest of rooms, and what is said of each."""


@pytest.mark.parametrize("case", BROKEN)
def test_a_manifest_that_checks_nothing_or_contradicts_itself(rooms: Path, case: str) -> None:
    changes, words = BROKEN[case]
    change(rooms, changes)
    with pytest.raises(ModelDirectoryError, match=rf"manifest\.json: .*{words}"):
        loading.load(model_directory.read(rooms))


@pytest.mark.parametrize("file", ["model.onnx", "model.joblib"])
def test_a_file_that_is_none_of_its_kind(rooms: Path, file: str) -> None:
    manifest = model_directory.read(rooms).manifest
    model_directory.write(rooms, manifest, {file: b"nothing of the kind"})
    with pytest.raises(ModelDirectoryError, match=f"{file}: .*; "):
        loading.load(model_directory.read(rooms))


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
    read = model_directory.read(rooms)  # of any writer: the system grants turns in no order
    assert read.model == bytes(10_000) + read.manifest.version.encode()
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


def test_folders_that_hold_no_model_are_told_and_passed_by(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for file in ("rooms/manifest.json", "bare/model.joblib", "notes/README.md"):
        (tmp_path / file).parent.mkdir()
        (tmp_path / file).touch()
    (tmp_path / "lost+found").mkdir()
    (tmp_path / "file").touch()
    assert [path.name for path in model_directory.find(tmp_path)] == ["bare", "rooms"]
    [told] = caplog.messages
    assert told.startswith(f"{tmp_path / 'notes'}: passed by; it holds none of manifest.json, ")
    shutil.rmtree(tmp_path / "rooms")
    shutil.rmtree(tmp_path / "bare")
    with pytest.raises(ModelDirectoryError, match="holds no model directory"):
        model_directory.find(tmp_path)


def test_what_nobody_may_look_into(unprivileged: Path) -> None:
    """The system's own folder is passed by; another may be a model, and is broken."""
    for name in ("lost+found", "rooms"):
        (unprivileged / name).mkdir(mode=0)
    [found] = model_directory.find(unprivileged)
    for read in (model_directory.read, without_manifest.is_one):
        with pytest.raises(
            ModelDirectoryError,
            match=r"rooms.*can't be read \(Permission denied\); check its owner",
        ):
            read(found)
    with pytest.raises(ModelDirectoryError, match="can't be read"):
        model_directory.find(found / "models")
    with pytest.raises(ModelDirectoryError, match="can't be read"):
        model_directory.find(found)


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """Make a folder for a user who may not look into everything; root becomes one."""
    with tempfile.TemporaryDirectory() as name:
        folder, root = Path(name), os.geteuid() == 0
        if root:
            shutil.chown(folder, NOBODY)
            os.seteuid(NOBODY)
        try:
            yield folder
        finally:
            for path in folder.iterdir():
                path.chmod(0o700)
            if root:
                os.seteuid(0)
