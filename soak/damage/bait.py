"""An estimator that does harm when it is unpickled, put where a server must not do so."""

import pickle
from pathlib import Path
from typing import Any

from harness.processes import ServerProcess, refuse
from model_server.model import directory as model_directory
from model_server.model.directory import JOBLIB, ONNX


class Bait:
    """Make a folder when unpickled.

    Parameters
    ----------
    mark : Path
        The folder.
    """

    def __init__(self, mark: Path) -> None:
        self._mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        """See the documentation of `pickle`."""
        return Path.mkdir, (self._mark,)


def taken(rooms: Path, folder: Path) -> list[str]:
    """Start a server on each of two baits; return those that were unpickled.

    One has another digest than its manifest says, the other one is in order, but beside a graph.

    Parameters
    ----------
    rooms : Path
        A sound model directory with a graph.
    folder : Path
        For the directories that are made.
    """
    sound = model_directory.read(rooms)
    marks = changed, beside = folder / "changed", folder / "beside"
    directory = folder / "changed-models" / "rooms"
    model_directory.write(directory, sound.manifest, {JOBLIB: (rooms / JOBLIB).read_bytes()})
    (directory / JOBLIB).write_bytes(pickle.dumps(Bait(changed)))
    refuse(directory.parent)
    directory = folder / "beside-models" / "rooms"
    files = {ONNX: sound.model, JOBLIB: pickle.dumps(Bait(beside))}
    model_directory.write(directory, sound.manifest, files)
    with ServerProcess(directory.parent, log=folder / "log") as server:
        server.predict("rooms", '{"instances": [[6.5]]}', "application/json").raise_for_status()
    return [mark.name for mark in marks if mark.exists()]
