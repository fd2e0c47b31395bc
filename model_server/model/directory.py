"""The model directory on disk: written and read here and nowhere else.

::

    models/rooms/
    ├── manifest.json      what the model is, and the SHA-256 of every file below
    ├── manifest.sha256    the SHA-256 of manifest.json, for ``sha256sum --check``
    ├── model.joblib       the estimator
    ├── model.onnx         the same as a graph, where it converts
    └── report.html        the same for a person

A directory appears whole or not at all: it is written beside its place, synced, and the two are
exchanged.
"""

import contextlib
import ctypes
import errno
import fcntl
import glob
import hashlib
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from model_server.errors import ModelDirectoryError
from model_server.model.manifest import Manifest

log = logging.getLogger("model_server")

MANIFEST = "manifest.json"
DIGEST = "manifest.sha256"
JOBLIB = "model.joblib"
ONNX = "model.onnx"

_FILES = (MANIFEST, DIGEST, JOBLIB, ONNX)
"""One of them makes a directory ours."""

_LOST = "lost+found"
"""The system's own folder on a volume, which only root may look into."""

_OLD = "old"
_LIBC = ctypes.CDLL(None, use_errno=True)
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_UNSUPPORTED = {errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP}
_RETRAIN = "train the model again or restore the directory from its source"


@dataclass(frozen=True)
class ModelDirectory:
    """A model directory whose every file was found to be what the manifest says.

    Attributes
    ----------
    path : Path
    manifest : Manifest
    digest : str
        SHA-256 of ``manifest.json``, which stands for the whole directory.
    model_file : str
        The file that answers: ``model.onnx`` where there is one, else ``model.joblib``.
    model : bytes
        Its content, as it was when it was checked.
    """

    path: Path
    manifest: Manifest
    digest: str
    model_file: str
    model: bytes


def find(models: Path) -> list[Path]:
    """Return the model directories below `models`, sorted by name, or `models` if it is one itself.

    Those whose names begin with a dot are not ours. Others that are none are told and passed by;
    one that can't be looked into may be one.

    Raises
    ------
    ModelDirectoryError
        If `models` is no directory, can't be read, or holds none.
    """
    try:
        if not models.is_dir():
            raise ModelDirectoryError(models, "", "is not a directory", "set --models to one")
        if holds(models, *_FILES):
            return [models]
        found = [path for path in sorted(models.iterdir()) if path.is_dir() and _is_ours(path)]
    except OSError as error:
        raise _unreadable(models, "", error) from error
    if not found:
        raise ModelDirectoryError(models, "", "holds no model directory", "run `make train` first")
    return found


def is_hidden(path: Path) -> bool:
    """Tell whether an entry of a folder of models is somebody else's, by its name."""
    return path.name.startswith(".") or path.name == _LOST


def _is_ours(path: Path) -> bool:
    if is_hidden(path):
        return False
    try:
        ours = holds(path, *_FILES)
    except ModelDirectoryError:
        return True
    if not ours:
        log.warning("%s: passed by; it holds none of %s", path, ", ".join(_FILES))
    return ours


def holds(directory: Path, *files: str) -> bool:
    """Tell whether one of some files is in a directory.

    Raises
    ------
    ModelDirectoryError
        If it can't be looked into.
    """
    for file in files:
        try:
            (directory / file).lstat()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise _unreadable(directory, "", error) from error
        return True
    return False


def read(directory: Path) -> ModelDirectory:
    """Check a model directory against its manifest and read the file that answers.

    Nothing is unpickled here. A directory that is replaced meanwhile is read once more.

    Raises
    ------
    ModelDirectoryError
        If a file is missing, unreadable, not what its SHA-256 says, or the manifest is not one.
    """
    seen = _identity(directory)
    try:
        return _read(directory)
    except ModelDirectoryError:
        if _identity(directory) == seen:
            raise
    return _read(directory)


def _read(directory: Path) -> ModelDirectory:
    text = read_bytes(directory, MANIFEST)
    digest = hashlib.sha256(text).hexdigest()
    recorded = read_bytes(directory, DIGEST)
    if recorded != _digest_line(digest):
        raise ModelDirectoryError(
            directory, MANIFEST, f"its SHA-256 {digest} is not the one in {DIGEST}", _RETRAIN
        )
    manifest = _parse(directory, text)
    model_file = ONNX if ONNX in manifest.files else JOBLIB
    if model_file not in manifest.files:
        raise ModelDirectoryError(
            directory, MANIFEST, f"lists neither {ONNX} nor {JOBLIB}", _RETRAIN
        )
    model = b""
    for file, expected in manifest.files.items():
        content = read_bytes(directory, file)
        actual = hashlib.sha256(content).hexdigest()
        if actual != expected:
            raise ModelDirectoryError(
                directory,
                file,
                f"damaged or changed ({len(content)} bytes with SHA-256 {actual}, "
                f"where the manifest says {expected})",
                _RETRAIN,
            )
        if file == model_file:
            model = content
    return ModelDirectory(directory, manifest, digest, model_file, model)


def write(directory: Path, manifest: Manifest, files: Mapping[str, bytes]) -> None:
    """Write a model directory, in place of the one that is there.

    Parameters
    ----------
    path : Path
        Its last part need not be the model's name.
    manifest : Manifest
        Its ``files`` are filled in from `files`.
    files : Mapping of str to bytes
        Every file but the manifest.

    Raises
    ------
    OSError
        If the directory can't be written; the one that was there is then untouched.
    """
    sums = {file: hashlib.sha256(content).hexdigest() for file, content in files.items()}
    text = (manifest.model_copy(update={"files": sums}).model_dump_json(indent=2) + "\n").encode()
    digest = _digest_line(hashlib.sha256(text).hexdigest())
    directory.parent.mkdir(parents=True, exist_ok=True)
    with _side_folder(directory) as side:
        new = side / "new"
        new.mkdir()
        for file, content in {**files, MANIFEST: text, DIGEST: digest}.items():
            with (new / file).open("xb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
        _sync(new)
        _replace(new, directory, side / _OLD)
        _sync(directory.parent)


@contextlib.contextmanager
def _side_folder(directory: Path) -> Iterator[Path]:
    """Delete the side folders of killed writers and make a new one, for as long as the block runs.

    Writers take turns, so that none of the folders is a living one's. Where a filesystem locks no
    directory, as NFS, nothing is known of the others and their folders stay.
    """
    prefix = f".{directory.name}.writing-"
    handle = os.open(directory.parent, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
            for left in directory.parent.glob(glob.escape(prefix) + "*"):
                _tidy(left, directory)
        side = Path(tempfile.mkdtemp(dir=directory.parent, prefix=prefix))
        try:
            yield side
        finally:
            _tidy(side, directory)
    finally:
        os.close(handle)


def _tidy(side: Path, directory: Path) -> None:
    """Delete a side folder, but put back first what was moved into it and nothing has replaced."""
    if (side / _OLD).exists() and not directory.exists():
        (side / _OLD).rename(directory)
    shutil.rmtree(side, ignore_errors=True)


def _identity(directory: Path) -> tuple[int, int] | None:
    """Return what changes when another directory takes the place of this one."""
    try:
        status = directory.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


def _digest_line(digest: str) -> bytes:
    return f"{digest}  {MANIFEST}\n".encode()


def read_bytes(directory: Path, file: str) -> bytes:
    """Read a file of a model directory.

    Raises
    ------
    ModelDirectoryError
        If it is missing or can't be read.
    """
    try:
        return (directory / file).read_bytes()
    except FileNotFoundError:
        raise ModelDirectoryError(directory, file, "is missing", _RETRAIN) from None
    except OSError as error:
        raise _unreadable(directory, file, error) from error


def _unreadable(directory: Path, file: str, error: OSError) -> ModelDirectoryError:
    problem = f"can't be read ({error.strerror})"
    return ModelDirectoryError(directory, file, problem, "check its owner and mode")


def _parse(directory: Path, text: bytes) -> Manifest:
    try:
        return Manifest.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole file"
        raise ModelDirectoryError(
            directory,
            MANIFEST,
            f"is not a manifest of this version: {where}: "
            f"{first['msg'].removeprefix('Value error, ')}",
            "train the model again with this version of the server",
        ) from error


def _sync(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _replace(new: Path, place: Path, old: Path) -> None:
    """Move `new` to `place`; what was there goes to `old`, or to `new` where the two change places.

    Linux exchanges the two at once on its own filesystems. Elsewhere there is a moment in which
    `place` is missing; what was there stays in `old` if the process ends or fails just then.
    """
    try:
        _exchange(new, place)
    except FileNotFoundError:
        new.rename(place)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        if place.exists():
            place.rename(old)
        new.rename(place)


def _exchange(new: Path, place: Path) -> None:
    """Call renameat2(2), which the C libraries of Linux have and others have not."""
    if not hasattr(_LIBC, "renameat2"):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    names = os.fsencode(new), os.fsencode(place)
    if _LIBC.renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(new), None, str(place))
