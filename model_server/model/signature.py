"""The signature: what a model takes and what it gives, made once from its manifest.

Whoever reads rows, writes predictions or describes either asks it.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from model_server.errors import BadRequest
from model_server.model.cells.cells import shown
from model_server.model.columns import Columns, Instances
from model_server.model.manifest import (
    PREDICTION,
    Feature,
    Manifest,
    Output,
    Target,
)
from model_server.model.outputs import described

_JSON_TYPES = {"text": "string", "number": "number", "integer": "integer", "boolean": "boolean"}

DIALECT = "https://json-schema.org/draft/2020-12/schema"


class Signature:
    """What a model takes and what it gives.

    Parameters
    ----------
    manifest : Manifest

    Attributes
    ----------
    columns : Columns
        The features, compiled for reading rows.
    outputs : dict of str to Output
        By name, the prediction first.
    returned : tuple of str
        Those that a request gets which asks for none.
    golden_X : ndarray of shape (n_rows, n_features) or (n_rows,), as `columns` has them
        Rows that a sound model answers as the next says.
    golden : dict of str to ndarray of shape (n_rows, *output.shape)
    """

    def __init__(self, manifest: Manifest) -> None:
        ignores_surplus = manifest.surplus == "ignored"
        self.columns = Columns(manifest.features, ignores_surplus=ignores_surplus)
        self.golden_X: Instances = self.columns.read(manifest.golden.instances)
        told = {PREDICTION: manifest.golden.predictions, **manifest.golden.outputs}
        self.golden = {name: np.array(values) for name, values in told.items()}
        outputs = manifest.outputs or (described(PREDICTION, "predict", self.golden[PREDICTION]),)
        self.outputs = {output.name: output for output in outputs}
        self.returned = manifest.returned

    def asked(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return the outputs that a request gets which asks for these.

        Raises
        ------
        BadRequest
            If the model does not give one of them.
        """
        if not names:
            return self.returned
        for name in names:
            if name not in self.outputs:
                raise BadRequest(
                    f"the model has no output {shown(name)}; it gives {', '.join(self.outputs)}"
                )
        return tuple(dict.fromkeys(names))


def describe(manifest: Manifest, signature: Signature) -> dict[str, Any]:
    """Describe a model's instances and predictions as JSON Schema (2020-12), to build a form from.

    The range seen in training is no limit, so it stands under keys of our own: ``x-minimum``,
    ``x-maximum`` beside ``default`` (the median), and ``x-unit``.

    Returns
    -------
    dict
        ``name``, ``version``, ``task``, ``description``; ``features``, the JSON Schema of an
        instance given as an object; ``target``, that of one prediction; ``outputs``, those of all
        that can be asked for, by name, and ``returned``, which of them come unasked.
    """
    columns = signature.columns
    features = zip(columns.features, columns.schemas(), strict=True)
    return {
        "name": manifest.name,
        "version": manifest.version,
        "task": manifest.task,
        "description": manifest.description,
        "features": {
            "$schema": DIALECT,
            "type": "object",
            "properties": {feature.name: _feature(feature, schema) for feature, schema in features},
            "required": list(columns.names),
            "additionalProperties": columns.ignores_surplus,
            "examples": [columns.example()],
        },
        "target": {"$schema": DIALECT, **_target(manifest.target)},
        "outputs": {name: _output(output) for name, output in signature.outputs.items()},
        "returned": list(signature.returned),
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


def _output(output: Output) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": _JSON_TYPES[output.type]}
    for length in reversed(output.shape):
        schema = {"type": "array", "items": schema, "minItems": length, "maxItems": length}
    return {**schema, "x-names": list(output.names)} if output.names else schema


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
