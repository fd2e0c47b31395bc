"""The signature: what a model takes and what it gives, made once from its manifest.

Whoever reads rows, writes predictions or describes either asks it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from model_server.model.columns import Columns, Instances
from model_server.model.manifest import Feature, Manifest, Target

DIALECT = "https://json-schema.org/draft/2020-12/schema"


@dataclass(frozen=True)
class Output:
    """What a model gives for each row.

    Attributes
    ----------
    target : Target
        Its name, unit and range; ``classes`` for a classifier.
    dtype : numpy.dtype
        float64 for a regressor; that of the classes for a classifier.
    shape : tuple of int
        That of one row's prediction: ``()`` for a number or a label.
    """

    target: Target
    dtype: np.dtype[Any]
    shape: tuple[int, ...] = ()


class Signature:
    """What a model takes and what it gives.

    Parameters
    ----------
    manifest : Manifest

    Attributes
    ----------
    columns : Columns
        The features, compiled for reading rows.
    output : Output
    golden_X : ndarray of shape (n_rows, n_features) or (n_rows,), as `columns` has them
        Rows that a sound model predicts as the next says.
    golden_y : ndarray of shape (n_rows, *output.shape)
    """

    def __init__(self, manifest: Manifest) -> None:
        self.columns = Columns(manifest.features)
        self.golden_X: Instances = self.columns.read(manifest.golden.instances)
        self.golden_y: npt.NDArray[Any] = np.array(manifest.golden.predictions)
        self.output = Output(manifest.target, self.golden_y.dtype, self.golden_y.shape[1:])


def describe(manifest: Manifest, signature: Signature) -> dict[str, Any]:
    """Describe a model's instances and predictions as JSON Schema (2020-12), to build a form from.

    The range seen in training is no limit, so it stands under keys of our own: ``x-minimum``,
    ``x-maximum`` beside ``default`` (the median), and ``x-unit``.

    Returns
    -------
    dict
        ``name``, ``version``, ``task``, ``description``; ``features``, the JSON Schema of an
        instance given as an object; ``target``, that of one prediction.
    """
    columns = signature.columns
    described = zip(columns.features, columns.schemas(), strict=True)
    return {
        "name": manifest.name,
        "version": manifest.version,
        "task": manifest.task,
        "description": manifest.description,
        "features": {
            "$schema": DIALECT,
            "type": "object",
            "properties": {
                feature.name: _feature(feature, schema) for feature, schema in described
            },
            "required": list(columns.names),
            "additionalProperties": False,
            "examples": [columns.example()],
        },
        "target": {"$schema": DIALECT, **_target(signature.output.target)},
    }


def _feature(feature: Feature, schema: dict[str, Any]) -> dict[str, Any]:
    described = {**_named(feature), **_seen(feature), **schema}
    if not feature.missing:
        return described
    if "enum" in described:
        described["enum"] = [*described["enum"], None]
    if "type" in described:
        described["type"] = [described["type"], "null"]
    return described


def _target(target: Target) -> dict[str, Any]:
    if target.classes:
        return {**_named(target), "enum": list(target.classes)}
    schema = {**_named(target), **_seen(target), "type": "number"}
    if target.interval is not None:
        schema["x-interval"] = target.interval.model_dump()
    return schema


def _named(column: Feature | Target) -> dict[str, Any]:
    texts = {"description": column.description, "x-unit": column.unit}
    return {"title": column.name, **{key: text for key, text in texts.items() if text}}


def _seen(column: Feature | Target) -> dict[str, Any]:
    values = {
        "default": column.median,
        "x-minimum": column.minimum,
        "x-maximum": column.maximum,
    }
    return {key: value for key, value in values.items() if value is not None}
