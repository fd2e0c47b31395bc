"""Rows that are read a block at a time."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence

from model_server.errors import BadRequest
from model_server.formats.codec import BLOCK_BYTES, Steps
from model_server.model.columns import Columns, Instances, no_instances


class BlockReader(ABC):
    """What reads a short body at once, and a longer one a block of rows at a time.

    Parameters
    ----------
    block_bytes : int
        About how much is read without a pause.
    """

    def __init__(self, block_bytes: int = BLOCK_BYTES) -> None:
        self._block_bytes = block_bytes

    def read(self, body: bytes, columns: Columns) -> Instances:
        """See `Reader.read`."""
        if len(body) <= self._block_bytes:
            return self._read_short(body, columns)
        return at_once(self.steps(body, columns))

    def asked(self, _: bytes) -> Sequence[str]:
        """See `Reader.asked`; a format that has no place for names asks for none."""
        return ()

    @abstractmethod
    def steps(self, body: bytes, columns: Columns) -> Steps:
        """See `Reader.steps`."""

    @abstractmethod
    def _read_short(self, body: bytes, columns: Columns) -> Instances:
        """Read a body that is no longer than a block."""


class Rows:
    """The array that a request is read into.

    A matrix has room for the most rows that there can be: the system gives memory for as much of it
    as is written. NumPy clears that of records, so theirs begins as nothing, and grows in place.

    Parameters
    ----------
    columns : Columns
    length_bytes : int
        That of the body: each cell takes one byte at least, be it only what parts it from the next.

    Attributes
    ----------
    next : int
        The number of the row that comes next, counted from 1.
    """

    def __init__(self, columns: Columns, length_bytes: int) -> None:
        most = length_bytes // len(columns.names) + 1
        self._room = columns.empty(most if columns.only_numbers else 0)
        self.next = 1

    def add(self, X: Instances) -> None:
        """Take the next rows."""
        begin, end = self.next - 1, self.next - 1 + len(X)
        room = len(self._room)
        if end > room:
            self._room.resize(max(end, room * 9 // 8), refcheck=False)  # nobody has a view of it
        self._room[begin:end] = X
        self.next += len(X)

    def joined(self) -> Instances:
        """Return what was taken.

        Raises
        ------
        BadRequest
            If that is nothing.
        """
        if self.next == 1:
            raise no_instances()
        return self._room[: self.next - 1]


def read_each(
    blocks: Iterable[slice],
    rows: Rows,
    read: Callable[[slice, int], Instances],
    check: Callable[[slice], object],
) -> Steps:
    """Read blocks of whole rows.

    What is wrong with the body as a whole is told before what is wrong with a row of it, so the
    blocks after such a row are looked at, too.

    Parameters
    ----------
    blocks : iterable of slice
        Of the body.
    rows : Rows
        Takes them.
    read : callable
        Reads a block whose first row has the number given; what it raises tells of a row or not.
    check : callable
        Sees that a block is of the format.
    """
    wrong = None
    for block in blocks:
        if wrong is not None:
            check(block)
        else:
            try:
                rows.add(read(block, rows.next))
            except BadRequest as error:
                if error.row is None:
                    raise
                wrong = error
        yield
    if wrong is not None:
        raise wrong
    return rows.joined()


def end_of_lines(body: bytes) -> int:
    """Return where the last line ends that is not empty."""
    tail = body[-64:]
    kept = tail.rstrip(b"\r\n")
    if kept:  # most often, and no more of the body is copied
        return len(body) - len(tail) + len(kept)
    return len(body.rstrip(b"\r\n"))


def at_once(steps: Steps) -> Instances:
    """Read without a pause."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            X: Instances = end.value
            return X
