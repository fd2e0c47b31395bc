"""The schemas of predictions: what each model takes and gives over v1 and v2.

Source: KServe's v1 protocol, and the Open Inference Protocol's ``inference_rest.md``.
"""

import csv
import io
from typing import Any

import orjson

from model_server.formats import media_types
from model_server.formats.tensors import (
    DTYPES,
    MOST_DIMENSIONS,
    MOST_TENSORS,
    describe_inputs,
    describe_outputs,
)
from model_server.http.operation import (
    BOOLEAN,
    INTEGER,
    TEXT,
    Content,
    Exchange,
    Schema,
    array,
    json_object,
)
from model_server.inference.served import Served
from model_server.model.columns import Columns
from model_server.model.signature import describe

PREDICT_REQUEST, PREDICT_RESPONSE = "PredictRequest", "PredictResponse"
INFER_REQUEST, INFER_RESPONSE = "InferRequest", "InferResponse"
INSTANCE, BY_NAME, INSTANCES = "Instance", "InstanceByName", "Instances"
OUTPUT, PREDICT_PARAMETERS = "Output", "PredictParameters"

_LENGTH: Schema = {"type": "integer", "minimum": 1}
_BEYOND = (2 - 2**-24) * 2.0**127
_FLOAT32 = {"exclusiveMinimum": -_BEYOND, "exclusiveMaximum": _BEYOND}
"""From there on a number is rounded to infinity (IEEE 754, 4.3.1)."""

_DATATYPE: Schema = {**TEXT, "enum": [*DTYPES]}


def predict(served: Served) -> Exchange:
    """Return what a model takes and gives over v1."""
    columns = served.signature.columns
    row = [columns.example()[name] for name in columns.names]
    body: Content = {
        media_types.JSON: {
            "schema": {
                "anyOf": [_reference(served, PREDICT_REQUEST), _reference(served, INSTANCES)]
            },
            "example": {"instances": [row]},
        },
        media_types.CSV: {"schema": TEXT, **_csv_example(columns)},
        media_types.JSON_LINES: {"schema": TEXT, "example": orjson.dumps(row).decode() + "\n"},
    }
    answer: Content = {
        media_types.JSON: _referred(served, PREDICT_RESPONSE),
        media_types.CSV: {"schema": TEXT},
        media_types.JSON_LINES: {"schema": TEXT},
    }
    return Exchange(body, answer, {"return": _outputs(served)})


def infer(served: Served) -> Exchange:
    """Return what a model takes and gives over v2."""
    body: Content = {
        media_types.JSON: {
            **_referred(served, INFER_REQUEST),
            "example": {"inputs": _example_inputs(served)},
        },
        media_types.BINARY: {},
    }
    answer: Content = {
        media_types.JSON: _referred(served, INFER_RESPONSE),
        media_types.BINARY: {},
    }
    return Exchange(body, answer)


def components(served: Served) -> dict[str, Schema]:
    """Return the schemas that a model's predictions refer to, by their names."""
    told = describe(served.manifest, served.signature)
    for name in served.narrow:
        told["features"]["properties"][name] |= _FLOAT32
    schemas = {
        INSTANCE: _instance(served, told["features"]),
        BY_NAME: {key: value for key, value in told["features"].items() if key != "$schema"},
        INSTANCES: {**array(_reference(served, INSTANCE)), "minItems": 1},
        OUTPUT: {**TEXT, "enum": [*served.signature.outputs]},
        PREDICT_PARAMETERS: {
            "type": "object",
            "properties": {"return": _or_null(_outputs(served))},
        },
        PREDICT_REQUEST: _predict_request(served),
        PREDICT_RESPONSE: _predict_response(told["outputs"]),
        INFER_REQUEST: _infer_request(served),
        INFER_RESPONSE: _infer_response(served),
    }
    return {_name(served, kind): schema for kind, schema in schemas.items()}


def _name(served: Served, kind: str) -> str:
    return f"{served.name}.{kind}"


def _reference(served: Served, kind: str) -> Schema:
    return {"$ref": f"#/components/schemas/{_name(served, kind)}"}


def _referred(served: Served, kind: str) -> dict[str, Any]:
    return {"schema": _reference(served, kind)}


def _instance(served: Served, features: dict[str, Any]) -> Schema:
    """Return the schema of one row: an object by names, a list in order, or the only value."""
    cells = [features["properties"][name] for name in features["required"]]
    row = {"type": "array", "prefixItems": cells, "minItems": len(cells), "maxItems": len(cells)}
    return {"anyOf": [row, _reference(served, BY_NAME), *(cells if len(cells) == 1 else ())]}


def _predict_request(served: Served) -> Schema:
    parameters = _reference(served, PREDICT_PARAMETERS)
    return {
        "type": "object",
        "properties": {
            "instances": _reference(served, INSTANCES),
            "parameters": _or_null(parameters),
        },
        "required": ["instances"],
    }


def _outputs(served: Served) -> Schema:
    return array(_reference(served, OUTPUT))


def _predict_response(outputs: dict[str, Schema]) -> Schema:
    several = {"type": "object", "properties": outputs, "additionalProperties": False}
    return json_object({"predictions": array({"anyOf": [*outputs.values(), several]})})


def _infer_request(served: Served) -> Schema:
    columns = served.signature.columns
    names = [*dict.fromkeys([*(told["name"] for told in describe_inputs(columns)), *columns.names])]
    gives = [told["name"] for told in describe_outputs(served.signature.outputs.values())]
    tensor: dict[str, Schema] = {
        "name": TEXT if columns.ignores_surplus else {**TEXT, "enum": names},
        "shape": {**array(_LENGTH), "minItems": 1, "maxItems": MOST_DIMENSIONS},
        "datatype": _DATATYPE,
        "data": array({}),
    }
    inputs = array({"type": "object", "properties": tensor, "required": [*tensor]})
    asked = {"name": {**TEXT, "enum": gives}, "parameters": _flag("binary_data")}
    outputs = array({"type": "object", "properties": asked, "required": ["name"]})
    return {
        "type": "object",
        "properties": {
            "id": _or_null(TEXT),
            "parameters": _flag("binary_data_output"),
            "inputs": {**inputs, "minItems": 1, "maxItems": MOST_TENSORS},
            "outputs": _or_null(outputs),
        },
        "required": ["inputs"],
    }


def _flag(name: str) -> Schema:
    return _or_null({"type": "object", "properties": {name: _or_null(BOOLEAN)}})


def _infer_response(served: Served) -> Schema:
    gives = [told["name"] for told in describe_outputs(served.signature.outputs.values())]
    tensor = json_object(
        {
            "name": {**TEXT, "enum": gives},
            "datatype": _DATATYPE,
            "shape": array(_LENGTH),
            "data": array({}),
            "parameters": json_object({"binary_data_size": INTEGER}),
        },
        optional=("data", "parameters"),
    )
    return json_object(
        {
            "model_name": {"const": served.name},
            "model_version": {"const": served.manifest.version},
            "id": TEXT,
            "outputs": array(tensor),
        },
        optional=("id",),
    )


def _or_null(schema: Schema) -> Schema:
    """Return the schema of what may as well be absent by name, as some clients send it."""
    return {"anyOf": [schema, {"type": "null"}]}


def _csv_example(columns: Columns) -> dict[str, str]:
    example = columns.example()
    if any(isinstance(value, list) for value in example.values()):
        return {}  # a vector has no place in CSV
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([columns.names, example.values()])
    return {"example": text.getvalue()}


def _example_inputs(served: Served) -> list[dict[str, Any]]:
    columns = served.signature.columns
    values = [columns.example()[name] for name in columns.names]
    tensors = describe_inputs(columns)
    cells = [values] if len(tensors) == 1 and columns.only_numbers else [[one] for one in values]
    return [
        {
            **{key: told[key] for key in ("name", "datatype")},
            "shape": [1, *told["shape"][1:]],
            "data": data[0] if isinstance(data[0], list) else data,
        }
        for told, data in zip(tensors, cells, strict=True)
    ]
