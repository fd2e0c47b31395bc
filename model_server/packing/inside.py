"""What a fitted estimator tells of its columns: the categories and the texts inside it."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer

from model_server.model.manifest import Label


def parts(estimator: Any, seen: set[int] | None = None) -> Iterator[Any]:
    """Yield an estimator and every fitted one inside it."""
    seen = set() if seen is None else seen
    if id(estimator) in seen:
        return
    seen.add(id(estimator))
    if isinstance(estimator, BaseEstimator):
        yield estimator
        for value in vars(estimator).values():
            yield from parts(value, seen)
    elif isinstance(estimator, list | tuple):
        for value in estimator:
            yield from parts(value, seen)
    elif isinstance(estimator, dict):
        for value in estimator.values():
            yield from parts(value, seen)


def categories(estimator: Any) -> dict[str, tuple[Label, ...]]:
    """Return the labels that encoders know, by the names of their columns; NaN is none of them."""
    known: dict[str, tuple[Label, ...]] = {}
    for part in parts(estimator):
        names, lists = (getattr(part, key, None) for key in ("feature_names_in_", "categories_"))
        if names is None or not isinstance(lists, list) or len(names) != len(lists):
            continue
        for name, labels in zip(names, lists, strict=True):
            kept = tuple(
                label for label in np.asarray(labels, dtype=object).tolist() if _is_label(label)
            )
            if kept:
                known[str(name)] = kept
    return known


def texts(estimator: Any) -> set[str]:
    """Return the names of the columns that are given to something that reads one as texts."""
    return {
        columns
        for part in parts(estimator)
        if isinstance(part, ColumnTransformer)
        for _, _, columns in getattr(part, "transformers_", part.transformers)
        if isinstance(columns, str)
    }


def _is_label(label: Any) -> bool:
    return isinstance(label, bool | int | str) or (isinstance(label, float) and label == label)  # noqa: PLR0124 - NaN
