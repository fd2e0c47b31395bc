"""The features of an estimator: from a sample, and from what it answers when it is asked.

Whether a value may be missing, and whether a category may be one that was not seen, is found out by
asking the estimator for a row with one: what it answers itself, the server lets through.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types

from model_server.errors import first_line
from model_server.model.columns import Columns, Instances
from model_server.model.manifest import Container, Feature
from model_server.packing import inside
from model_server.packing.errors import NotPacked
from model_server.packing.overrides import Overrides
from model_server.packing.probes import UNSEEN
from model_server.packing.reading import Reading

log = logging.getLogger("model_server")

_MOST_CATEGORIES = 50
_EXACT = 2**53

_BY_DTYPE: dict[str, Callable[[Any], bool]] = {
    "boolean": types.is_bool_dtype,
    "integer": types.is_integer_dtype,
    "number": types.is_float_dtype,
    "datetime": types.is_datetime64_any_dtype,
}

_MAY_BE_MISSING = ("category", "datetime", "number", "text")
"""The types whose columns stay what they are where a value is missing: whole numbers and truths
become others in pandas, and may be rounded."""

Row = list[Any]


def find(estimator: Any, sample: pd.DataFrame, overrides: Overrides) -> Reading:
    """Find how a fitted estimator reads the rows of a sample.

    Raises
    ------
    NotPacked
        If it answers none of them in any way that is tried.
    """
    sample = _columns(estimator, sample.rename(columns=str))
    log.info("asking the estimator how it reads %d columns", len(sample.columns))
    problems: list[str] = []
    for features, container in _ways(estimator, sample, overrides):
        rows = _rows(sample, features)
        try:
            reading = Reading(features, container, Columns(features).read(rows))
            reading.predict(estimator, reading.X)
        except Exception as error:  # noqa: BLE001 - an estimator may raise anything
            problems.append(first_line(error))
            continue
        for place in range(len(features)):
            reading = _allowing(estimator, reading, rows[0], place, overrides)
        return replace(reading, X=reading.read(rows))
    raise NotPacked(
        f"the estimator does not answer the sample ({problems[0]})",
        "give rows as it was fitted on, with the same columns and types",
    )


def read(sample: pd.DataFrame, features: tuple[Feature, ...]) -> Instances:
    """Read the rows of a sample as these features have them."""
    return Columns(features).read(_rows(sample.rename(columns=str), features))


def _columns(estimator: Any, sample: pd.DataFrame) -> pd.DataFrame:
    """Return the columns that the estimator reads, in its order."""
    names = getattr(estimator, "feature_names_in_", None)
    if names is not None:
        for name in names:
            if name not in sample.columns:
                raise NotPacked(
                    f"the sample has no column {name!r}, which the estimator was fitted on",
                    f"its columns are {', '.join(map(str, sample.columns))}",
                )
        return sample[list(names)]
    count = getattr(estimator, "n_features_in_", None)
    if count is not None and count != len(sample.columns):
        raise NotPacked(
            f"the sample has {len(sample.columns)} columns, and the estimator reads {count}",
            "leave out what is none of its features, such as the target",
        )
    return sample


def _ways(
    estimator: Any, sample: pd.DataFrame, overrides: Overrides
) -> Iterator[tuple[tuple[Feature, ...], Container]]:
    """Yield the features and containers that it may have been fitted on, the likeliest first."""
    known, texts = inside.categories(estimator), inside.texts(estimator)
    features = tuple(
        _feature(sample[name], known.get(name), overrides, is_text=name in texts)
        for name in sample.columns
    )
    if hasattr(estimator, "feature_names_in_"):
        yield features, "frame"
        yield _as_categories(features), "frame"
        return
    if all(feature.type in ("boolean", "integer", "number") for feature in features):
        yield _as_numbers(features, sample), "array"
    if len(features) == 1 and features[0].type in ("category", "text"):
        [feature] = features
        yield (feature.model_copy(update={"type": "text", "categories": ()}),), "series"
    yield features, "frame"
    yield features, "array"


def _feature(
    column: "pd.Series[Any]", known: Sequence[Any] | None, overrides: Overrides, *, is_text: bool
) -> Feature:
    name = str(column.name)
    chosen = overrides.types.get(name)
    if chosen == "datetime" and column.dtype == object:
        column = pd.to_datetime(column, format="ISO8601").rename(name)
    described: dict[str, Any] = {
        "name": name,
        "description": overrides.descriptions.get(name, ""),
        "unit": overrides.units.get(name, ""),
        "missing": bool(column.isna().any()),
        **_kind(column, known, chosen, is_text=is_text),
    }
    if described["type"] in ("integer", "number"):
        numbers = column.astype("float64")
        described |= {
            "minimum": _finite(numbers.min()),
            "maximum": _finite(numbers.max()),
            "median": _finite(numbers.median()),
        }
    return Feature(**described)


def _finite(number: float) -> float | None:
    return float(number) if np.isfinite(number) else None


def _kind(
    column: "pd.Series[Any]", known: Sequence[Any] | None, chosen: str | None, *, is_text: bool
) -> dict[str, Any]:
    """Return the type of a column's feature, and what belongs to it."""
    dtype = column.dtype
    cells = column.dropna().tolist()
    if isinstance(dtype, pd.CategoricalDtype):
        return {
            "type": "category",
            "dtype": "category",
            "categories": tuple(dtype.categories.tolist()),
        }
    told = {} if dtype in (object, "int64", "float64", "bool") else {"dtype": str(dtype)}
    if chosen is not None and chosen != "category":
        return {"type": chosen, **told, **_length(chosen, cells)}
    if chosen == "category" or (known and types.is_object_dtype(dtype) and not is_text):
        labels = tuple(known or sorted(set(cells)))
        return {"type": "category", "categories": labels, **told}
    for kind, is_one in _BY_DTYPE.items():
        if is_one(dtype):
            return {"type": kind, **told}
    return {**_kind_of_objects(str(column.name), cells, is_text=is_text), **told}


def _kind_of_objects(name: str, cells: Row, *, is_text: bool) -> dict[str, Any]:
    if cells and all(isinstance(cell, bool) for cell in cells):
        return {"type": "boolean"}
    if cells and all(isinstance(cell, list | tuple | np.ndarray) for cell in cells):
        return {"type": "vector", **_length("vector", cells)}
    if not all(isinstance(cell, str) for cell in cells):
        raise NotPacked(
            f"the sample's column {name!r} holds texts and other things",
            "make them all of one type, or say which under [types]",
        )
    labels = sorted(set(cells))
    few = 0 < len(labels) <= min(_MOST_CATEGORIES, len(cells) // 2)
    if is_text or not few:
        return {"type": "text"}
    return {"type": "category", "categories": tuple(labels)}


def _length(kind: str, cells: Row) -> dict[str, Any]:
    return {"length": len(cells[0])} if kind == "vector" and cells else {}


def _as_categories(features: tuple[Feature, ...]) -> tuple[Feature, ...]:
    """Return columns of labels as pandas' own kind of these, as a file does not tell them apart."""
    return tuple(
        feature.model_copy(update={"dtype": "category"}) if feature.type == "category" else feature
        for feature in features
    )


def _as_numbers(features: tuple[Feature, ...], sample: pd.DataFrame) -> tuple[Feature, ...]:
    """Return the features of a matrix, which has one dtype: whole numbers where these are long."""
    whole = all(feature.type == "integer" for feature in features)
    if whole and (sample.abs() > _EXACT).to_numpy().any():
        return features
    return tuple(feature.model_copy(update={"type": "number", "dtype": ""}) for feature in features)


def _rows(sample: pd.DataFrame, features: tuple[Feature, ...]) -> list[Row]:
    """Return a sample as a client would write it."""
    columns = [_written(sample[feature.name], feature) for feature in features]
    return [list(row) for row in zip(*columns, strict=True)]


def _written(column: "pd.Series[Any]", feature: Feature) -> Row:
    cells: Row = column.astype(object).where(column.notna(), None).tolist()
    if feature.type == "datetime":
        return [cell.isoformat() if hasattr(cell, "isoformat") else cell for cell in cells]
    if feature.type == "vector":
        return [list(cell) for cell in cells]
    return cells


def _allowing(
    estimator: Any, reading: Reading, row: Row, place: int, overrides: Overrides
) -> Reading:
    """Return a reading with what the estimator allows of one feature."""
    feature = reading.features[place]
    if feature.type in _MAY_BE_MISSING and not feature.missing:
        reading = _trying(estimator, reading, (row, place, None), "missing", overrides.missing)
    if feature.type == "category" and feature.dtype != "category":
        odd = row, place, UNSEEN
        reading = _trying(estimator, reading, odd, "unknown", overrides.unknown)
    return reading


def _trying(
    estimator: Any,
    reading: Reading,
    odd: tuple[Row, int, str | None],
    key: str,
    chosen: dict[str, bool],
) -> Reading:
    """Return a reading that allows an odd cell, if that is chosen or the estimator answers it."""
    row, place, cell = odd
    features = reading.features
    name = features[place].name
    changed = features[place].model_copy(update={key: chosen.get(name, True)})
    trial = replace(reading, features=(*features[:place], changed, *features[place + 1 :]))
    if name in chosen:
        return trial
    try:
        trial.predict(estimator, trial.read([[*row[:place], cell, *row[place + 1 :]]]))
    except Exception:  # noqa: BLE001 - it does not answer such a row
        return reading
    return trial
