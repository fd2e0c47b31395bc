"""What a fitted estimator tells of its columns: the categories and the texts inside it."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import CountVectorizer

from model_server.model.cells.cells import is_nan
from model_server.model.manifest import Feature, Label, Tokens
from model_server.packing.graphs.texts import tokens


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


def tokenized(estimator: Any, features: tuple[Feature, ...]) -> tuple[Feature, ...]:
    """Return the features, those of texts with how they are cut for a graph.

    Raises
    ------
    NotImplementedError
        If a text is cut in two ways, or in one that is not known here.
    """
    vectorizers: dict[str, list[Any]] = {feature.name: [] for feature in features}
    for part in parts(estimator):
        if isinstance(part, ColumnTransformer):
            for _, step, columns in getattr(part, "transformers_", ()):
                if isinstance(columns, str):
                    vectorizers[columns] += _vectorizers(step)
    if len(features) == 1 and not any(vectorizers.values()):
        vectorizers[features[0].name] = _vectorizers(estimator)
    return tuple(
        feature.model_copy(update={"tokens": _only(feature.name, vectorizers[feature.name])})
        if vectorizers[feature.name]
        else feature
        for feature in features
    )


def _vectorizers(estimator: Any) -> list[Any]:
    return [part for part in parts(estimator) if isinstance(part, CountVectorizer)]


def _only(name: str, vectorizers: list[Any]) -> Tokens:
    first, *others = [tokens(each).model_copy(update={"n_known": 1}) for each in vectorizers]
    if any(other != first for other in others):
        raise NotImplementedError(f"{name!r} is cut into tokens in two ways")
    most = max(len(each.vocabulary_) for each in vectorizers)
    return first.model_copy(update={"n_known": most})


def _is_label(label: Any) -> bool:
    return isinstance(label, Label) and not is_nan(label)
