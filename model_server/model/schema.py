"""What a client must know to build a form: features and target as JSON Schema (2020-12).

The range seen in training is no limit, so it stands under keys of our own: ``x-minimum``,
``x-maximum`` beside ``default`` (the median), and ``x-unit``.
"""

from typing import Any

from model_server.model.manifest import Feature, Manifest, Target
from model_server.model.signature import Signature

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def describe(manifest: Manifest, signature: Signature) -> dict[str, Any]:
    """Describe a model's instances and predictions.

    Returns
    -------
    dict
        ``name``, ``version``, ``task``, ``description``; ``features``, the JSON Schema of an
        instance given as an object; ``target``, that of one prediction.
    """
    features = signature.columns.features
    return {
        "name": manifest.name,
        "version": manifest.version,
        "task": manifest.task,
        "description": manifest.description,
        "features": {
            "$schema": DIALECT,
            "type": "object",
            "properties": {feature.name: _feature(feature) for feature in features},
            "required": [feature.name for feature in features],
            "additionalProperties": False,
            "examples": [signature.example()],
        },
        "target": {"$schema": DIALECT, **_target(signature.output.target)},
    }


def _feature(feature: Feature) -> dict[str, Any]:
    if feature.type == "string":
        return {**_named(feature), "type": "string", "enum": list(feature.categories)}
    return {**_named(feature), **_seen(feature), "type": "number"}


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
