"""The containers that estimators are fitted on, made of rows as the server reads them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from model_server.model.cells.cells import Array
from model_server.model.columns import Instances, fields
from model_server.model.manifest import Container, Feature

if TYPE_CHECKING:
    import pandas as pd

_USUAL_DTYPES = {
    "boolean": "bool",
    "datetime": "datetime64[ns]",
    "integer": "int64",
    "number": "float64",
}
_WITH_MISSING = {**_USUAL_DTYPES, "boolean": "object", "integer": "float64"}
"""What pandas makes of a column in which values are missing."""


def fitted_on(estimator: Any, features: Sequence[Feature]) -> Container:
    """Return what a fitted estimator was given, as far as it tells."""
    numbers = all(feature.type == "number" for feature in features)
    named = hasattr(estimator, "feature_names_in_")
    return "array" if numbers and not named else "frame"


def contained(X: Instances, features: Sequence[Feature], container: Container) -> Any:
    """Put rows into a container.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features) or (n_rows,)
        As `Columns` has them.
    features : sequence of Feature
    container : str
        ``array``: a matrix; ``frame``: a pandas frame, each column with the feature's dtype;
        ``series``: the texts of the only feature.
    """
    if container == "array":
        return array(X)
    if container == "series":
        [texts] = fields(X)
        return texts
    return _frame(X, features)


def array(X: Instances) -> Array:
    """Return rows as a matrix, of the dtype that all its columns have in common."""
    if not X.dtype.names:
        return X
    return np.column_stack([_numbers(column) for column in fields(X)])


def _numbers(column: Array) -> Array:
    """Return a column of numbers or truths of which some may be missing, and others as they are."""
    if column.dtype != object or any(isinstance(cell, str) for cell in column):
        return column
    return column.astype(np.float64)


def _frame(X: Instances, features: Sequence[Feature]) -> "pd.DataFrame":
    import pandas as pd

    columns = zip(features, fields(X), strict=True)
    return pd.DataFrame({feature.name: _series(feature, column) for feature, column in columns})


def _series(feature: Feature, column: Array) -> Any:
    import pandas as pd

    usual = _WITH_MISSING if feature.missing else _USUAL_DTYPES
    dtype: Any = feature.dtype or usual.get(feature.type, "object")
    if dtype == "category":
        dtype = pd.CategoricalDtype(list(feature.categories))
    if feature.type == "datetime" and "," in dtype:
        return pd.Series(pd.DatetimeIndex(column, tz="UTC")).astype(dtype)
    if feature.type == "vector":
        return pd.Series(list(column), dtype="object")
    if dtype == "object" and feature.missing:  # which pandas reads as NaN from a file
        column = np.array([np.nan if cell is None else cell for cell in column], dtype=object)
    return pd.Series(column, dtype=dtype)
