"""What a format is made of."""

from typing import Any, Protocol

import numpy.typing as npt

from model_server.model.columns import Columns, Matrix


class Reader(Protocol):
    """One way to read rows."""

    def read(self, body: Any, columns: Columns) -> Matrix:
        """Read a request.

        Parameters
        ----------
        body : bytes, or what a protocol has made of them
        columns : Columns

        Returns
        -------
        X : ndarray of shape (n_rows, n_features), float64

        Raises
        ------
        BadRequest
            If the body is not of this format or does not fit the columns.
        """
        ...


class Writer(Protocol):
    """One way to write predictions."""

    media_type: str

    def write(self, y: npt.NDArray[Any]) -> Any:
        """Write predictions `y` of shape (n_rows, ...)."""
        ...
