"""The precision in which a model reads numbers: it may hold less than what clients send."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from model_server.model.cells.cells import Array
from model_server.model.columns import misfit


def cast(X: Array, dtype: Any, names: Sequence[str]) -> Array:
    """Turn columns into another dtype, and no number into infinity.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_columns)
    dtype : type
        NumPy's.
    names : sequence of str
        The feature of each column.

    Raises
    ------
    BadRequest
        Naming the row and the feature of a number that the dtype can't hold.
    """
    with np.errstate(over="raise"):
        try:
            return X.astype(dtype, copy=False)
        except FloatingPointError:
            pass
    with np.errstate(over="ignore"):
        row, column = np.argwhere(np.isinf(X.astype(dtype)))[0]
    value, limits = float(X[row, column]), np.finfo(dtype)
    end = (
        f"above {limits.max:.2g}, the highest"
        if value > 0
        else f"below {limits.min:.2g}, the lowest"
    )
    raise misfit(int(row) + 1, names[column], f"{value} is {end} {dtype.__name__} number")


def cast_feature(cells: Array, dtype: Any, name: str) -> Array:
    """Turn the cells of one feature, of shape (n_rows, ...), likewise; each row of them is flat.

    Raises
    ------
    BadRequest
    """
    columns = cells.reshape(len(cells), -1)
    return cast(columns, dtype, [name] * columns.shape[1])
