"""What a format is made of."""

from collections.abc import Generator, Sequence
from typing import Any, Protocol

from model_server.model.columns import Columns, Instances
from model_server.model.outputs import Answers

NUMBER_BYTES = 64
"""What a prediction takes that is one number, as two arrays have it and two copies of a text."""

BLOCK_BYTES = 32 * 1024
"""What is read without a pause: a shorter request at once, a longer one in blocks of whole rows."""

Steps = Generator[None, None, Instances]


class Reader(Protocol):
    """One way to read rows.

    It takes at most `Columns.memory_factor` bytes for each byte of a request, be that right or
    wrong: that is the array, which grows by what was read, and a copy or two of the body. The
    objects that a block is read by come on top, but only once in a process, which reads one block
    at a time: they are a few MiB, however long the body is.
    """

    def read(self, body: Any, columns: Columns) -> Instances:
        """Read a request.

        Parameters
        ----------
        body : bytes, or what a protocol has made of them
        columns : Columns

        Returns
        -------
        X : ndarray of shape (n_rows, n_features) or (n_rows,), as `Columns` has them

        Raises
        ------
        BadRequest
            If the body is not of this format or does not fit the columns.
        """
        ...

    def steps(self, body: Any, columns: Columns) -> Steps:
        """Read the same, and yield after each block, so that others have their turn."""
        ...

    def asked(self, body: Any) -> Sequence[str]:
        """Return the names of the outputs that a request asks for itself.

        Raises
        ------
        BadRequest
            If they are no names.
        """
        ...


class Writer(Protocol):
    """One way to write predictions.

    Attributes
    ----------
    media_type : str
    number_bytes : int
        Most bytes of memory that a prediction takes which is one number: as the model gives it, and
        as it is written.
    """

    media_type: str
    number_bytes: int

    def write(self, answers: Answers) -> Any:
        """Write the outputs that were asked for, in their order."""
        ...
