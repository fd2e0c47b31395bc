"""Rows over every protocol, as clients of each send them."""

import csv
import io
import json
import math
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
import pandas as pd
from kserve import InferenceGRPCClient, InferInput, InferRequest, InferResponse
from kserve.protocol.infer_type import RequestedOutput

from harness.ports import HOST

_JSON, _JSON_LINES, _CSV = "application/json", "application/jsonlines", "text/csv"

_TRIES = 10
"""Of a request that is refused for want of time, as other models are looked after."""

Rows = list[list[Any]]


def written(rows: pd.DataFrame) -> Rows:
    """Return rows as JSON has them."""
    columns = [rows[name].astype(object).where(rows[name].notna(), None) for name in rows.columns]
    return [list(row) for row in zip(*(column.tolist() for column in columns), strict=True)]


def json_rows(client: httpx.Client, model: str, rows: Rows, names: list[str]) -> Any:
    """Ask by v1 with JSON; return the answers by output."""
    body = {"instances": rows, "parameters": {"return": names}}
    text = _answer(client, f"{model}:predict", json.dumps(body), _JSON, _JSON)
    return _by_name(json.loads(text)["predictions"], names)


def json_lines(client: httpx.Client, model: str, rows: Rows, names: list[str]) -> Any:
    """Ask by v1 with JSON Lines both ways."""
    text = "\n".join(map(json.dumps, rows))
    address = f"{model}:predict?return={','.join(names)}"
    lines = _answer(client, address, text, _JSON_LINES, _JSON_LINES).splitlines()
    return _by_name([json.loads(line) for line in lines], names)


def csv_lines(client: httpx.Client, model: str, rows: Rows, names: list[str]) -> Any:
    """Ask by v1 with CSV both ways; one output at a time, as their columns have no names."""
    text = io.StringIO()
    for row in rows:
        csv.writer(text).writerow("" if cell is None else _cell(cell) for cell in row)
    answers = {}
    for name in names:
        address = f"{model}:predict?return={name}"
        lines = _answer(client, address, text.getvalue(), _CSV, _CSV).splitlines()
        answers[name] = [[_read(cell) for cell in line] for line in csv.reader(lines)]
    return answers


def v2_json(client: httpx.Client, model: str, rows: Rows, names: list[str]) -> Any:
    """Ask by v2 with JSON."""
    inputs = [
        {
            "name": tensor.name,
            "shape": tensor.shape,
            "datatype": tensor.datatype,
            "data": _listed(tensor),
        }
        for tensor in _tensors(client, model, rows, binary=False)
    ]
    body = {"inputs": inputs, "outputs": [{"name": name} for name in names]}
    answer = _post(client, f"/v2/models/{model}/infer", json.dumps(body).encode(), _JSON)
    return {
        each["name"]: np.array(each["data"]).reshape(each["shape"])
        for each in answer.json()["outputs"]
    }


def v2_binary(client: httpx.Client, model: str, rows: Rows, names: list[str]) -> Any:
    """Ask by v2 with binary tensors both ways."""
    asked = [RequestedOutput(name, {"binary_data": True}) for name in names]
    request = InferRequest(model, _tensors(client, model, rows, binary=True), request_outputs=asked)
    body, length = request.to_rest()
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    given = {"inference-header-content-length": str(length)} if length else {}
    media = "application/octet-stream" if length else _JSON
    answer = _post(client, f"/v2/models/{model}/infer", content, media, given)

    given = answer.headers.get("inference-header-content-length")
    response = (
        InferResponse.from_bytes(answer.content, int(given))
        if given
        else (InferResponse.from_rest(answer.json()))
    )
    return {each.name: _array(each) for each in response.outputs}


async def grpc(
    client: httpx.Client, port: int, model: str, rows: Rows, names: list[str]
) -> dict[str, Any]:
    """Ask by gRPC."""
    asked = [RequestedOutput(name) for name in names]
    request = InferRequest(
        model, _tensors(client, model, rows, binary=False), request_outputs=asked
    )
    async with InferenceGRPCClient(f"{HOST}:{port}", timeout=60, retries=_TRIES) as channel:
        response = await channel.infer(request)
    return {each.name: _array(each) for each in response.outputs}


def _answer(client: httpx.Client, address: str, content: str, media: str, accept: str) -> str:
    return _post(client, f"/v1/models/{address}", content.encode(), media, {"accept": accept}).text


def _post(
    client: httpx.Client,
    address: str,
    content: bytes,
    media: str,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> httpx.Response:
    """Send a body, and again where the server says that it has too much to do."""
    for _ in range(_TRIES):
        answer = client.post(address, content=content, headers={"content-type": media, **headers})
        if answer.status_code != 503:
            break
        time.sleep(float(answer.headers.get("retry-after", 1)))
    if answer.status_code != 200:
        raise ValueError(f"{answer.status_code} {answer.text[:200]}")
    return answer


def _by_name(values: list[Any], names: list[str]) -> dict[str, Any]:
    if len(names) == 1:
        return {names[0]: values}
    return {name: [value[name] for value in values] for name in names}


def _cell(cell: Any) -> Any:
    return cell if isinstance(cell, str) else json.dumps(cell)


def _read(cell: str) -> Any:
    try:
        return json.loads(cell)
    except ValueError:
        return cell


def _tensors(client: httpx.Client, model: str, rows: Rows, *, binary: bool) -> list[InferInput]:
    """Make the tensors that the model's metadata ask for."""
    told = client.get(f"/v2/models/{model}").json()["inputs"]
    if len(told) == 1 and told[0]["name"] == "input-0":
        arrays = [np.array(rows, np.float64)]
    else:
        arrays = [_column([row[place] for row in rows], each) for place, each in enumerate(told)]
    tensors = []
    for each, array in zip(told, arrays, strict=True):
        datatype = "FP64" if array.dtype.kind == "f" else each["datatype"]
        tensor = InferInput(each["name"], list(array.shape), datatype)
        tensor.set_data_from_numpy(array, binary_data=binary)
        tensors.append(tensor)
    return tensors


def _column(cells: list[Any], told: dict[str, Any]) -> npt.NDArray[Any]:
    kind = {"BOOL": np.bool_, "FP64": np.float64, "INT64": np.int64}.get(told["datatype"])
    if kind is None:
        return np.array([["" if cell is None else str(cell)] for cell in cells], object)
    if None in cells:
        kind = np.float64
    return np.array([cells], kind).reshape(len(cells), -1)


def _listed(tensor: InferInput) -> Any:
    if tensor.datatype == "BYTES":
        return [cell.decode() if isinstance(cell, bytes) else cell for cell in tensor.data]
    return [None if isinstance(cell, float) and math.isnan(cell) else cell for cell in tensor.data]


def _array(output: Any) -> npt.NDArray[Any]:
    array: npt.NDArray[Any] = output.as_numpy()
    if array.dtype == object:
        flat = [cell.decode() if isinstance(cell, bytes) else cell for cell in array.reshape(-1)]
        return np.array(flat, object).reshape(array.shape)
    return array


Ask = Callable[[httpx.Client, str, Rows, list[str]], Any]
BY_HTTP: dict[str, Ask] = {
    "v1 JSON": json_rows,
    "v1 JSON Lines": json_lines,
    "v1 CSV": csv_lines,
    "v2 JSON": v2_json,
    "v2 binary": v2_binary,
}
