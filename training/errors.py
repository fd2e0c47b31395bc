"""The errors that end a training, and how each is told.

::

    TrainingError       what was given can't be trained with
    ├── CellError       a cell can't be read
    └── Unwritable      the model directory can't be written
    Stopped             the training was told to end
"""

from dataclasses import dataclass
from pathlib import Path

from model_server.errors import ModelDirectoryError


class TrainingError(Exception):
    """The training can't go on; the message is one line naming the thing and the cure."""


class CellError(TrainingError):
    """A cell can't be read.

    Parameters
    ----------
    column : str
    row : int
        Counted from 1, without the header.
    problem : str
        What is wrong, and the cure.
    """

    def __init__(self, column: str, row: int, problem: str) -> None:
        super().__init__(f"column {column!r}, row {row}: {problem}")
        self.column = column
        self.row = row
        self.problem = problem


class Unwritable(TrainingError):
    """The model directory can't be written; the cure is for who chose the folder."""

    def __init__(self, directory: Path, error: OSError, cure: str = "choose another --out") -> None:
        super().__init__(f"{directory}: can't be written ({error.strerror}); {cure}")
        self.directory = directory
        self.error = error


class Stopped(BaseException):
    """The training was told to end; no `Exception`, so that nothing on the way takes it for one."""


@dataclass(frozen=True)
class Explanation:
    """What a person is told of an error.

    Attributes
    ----------
    line : str
    code : int
        The process's exit code: 2 for wrong input, else 1.
    expected : bool
        Whether the line says it all, and no trace is needed.
    """

    line: str
    code: int
    expected: bool = True


def explain(error: BaseException) -> Explanation:
    """Return what a person is told of an error that ends a training."""
    if isinstance(error, TrainingError | ModelDirectoryError):
        return Explanation(str(error), 2)
    if isinstance(error, OSError):
        return Explanation(f"{error}; let HOME and TMPDIR name folders to write to", 1)
    if isinstance(error, Stopped):
        return Explanation(str(error), 1)
    return Explanation(f"{type(error).__name__}: {error}", 1, expected=False)
