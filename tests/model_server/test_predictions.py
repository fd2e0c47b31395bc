"""Both models answer all 506 rows as their estimator does, in every format and protocol."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import numpy.typing as npt
import pytest
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, RESTConfig

from harness.processes import ROOT, ServerProcess
from model_server.model import directory as model_directory
from model_server.model.loading import agree

TABLE = list(csv.DictReader((ROOT / "training/data/boston_housing.csv").read_text().splitlines()))
NAMES = ["rooms", "boston"]


class Case:
    """One model's rows and the estimator's own predictions of them."""

    def __init__(self, directory: Path) -> None:
        self.manifest = model_directory.read(directory).manifest
        self.features = [feature.name for feature in self.manifest.features]
        self.X = np.array([[float(row[name]) for name in self.features] for row in TABLE])
        self.expected = joblib.load(directory / "model.joblib").predict(self.X)

    def check(self, predictions: Any) -> None:
        assert len(predictions) == len(self.expected) == 506
        assert agree(np.array(predictions), self.expected, self.manifest.tolerance)


@pytest.fixture(scope="module", params=NAMES)
def case(request: pytest.FixtureRequest, models: Path) -> Case:
    return Case(models / request.param)


def as_json_lists(case: Case) -> bytes:
    return json.dumps({"instances": case.X.tolist()}).encode()


def as_json_objects(case: Case) -> bytes:
    rows = [dict(zip(case.features, row, strict=True)) for row in case.X.tolist()]
    return json.dumps({"instances": rows}).encode()


def as_csv(case: Case) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(case.X.tolist())
    return text.getvalue().encode()


def as_csv_with_header(case: Case) -> bytes:
    text = io.StringIO()
    turned = case.features[::-1]
    writer = csv.DictWriter(text, turned, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(TABLE)
    return text.getvalue().encode()


@pytest.mark.parametrize(
    ("write", "content_type"),
    [
        (as_json_lists, "application/json"),
        (as_json_lists, None),
        (as_json_objects, "application/json; charset=utf-8"),
        (as_csv, "text/csv"),
        (as_csv_with_header, "text/csv; header=present"),
    ],
)
@pytest.mark.parametrize("accept", [None, "*/*", "application/json", "text/csv"])
def test_v1(
    server: ServerProcess, case: Case, write: Any, content_type: str | None, accept: str | None
) -> None:
    answer = server.predict(case.manifest.name, write(case), content_type, accept)
    assert answer.status_code == 200, answer.text
    if accept == "text/csv":
        assert answer.headers["content-type"] == "text/csv"
        case.check([float(line) for line in answer.text.splitlines()])
    else:
        assert answer.headers["content-type"] == "application/json"
        case.check(answer.json()["predictions"])


@pytest.fixture
async def rest(request: pytest.FixtureRequest) -> Any:
    client = InferenceRESTClient(RESTConfig(protocol=request.param, timeout=30))
    yield client
    await client.close()


@pytest.mark.parametrize("rest", ["v1"], indirect=True)
async def test_kserve_rest_client_v1(server: ServerProcess, case: Case, rest: Any) -> None:
    answer = await rest.infer(
        server.url, {"instances": case.X.tolist()}, model_name=case.manifest.name
    )
    case.check(answer["predictions"])
    assert await rest.is_model_ready(server.url, case.manifest.name)


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("rest", ["v2"], indirect=True)
async def test_kserve_rest_client_v2(
    server: ServerProcess, case: Case, rest: Any, *, binary: bool
) -> None:
    request = InferRequest(case.manifest.name, [matrix(case.X, binary=binary)])
    answer = await rest.infer(server.url, request, model_name=case.manifest.name)
    case.check(answer.outputs[0].as_numpy())
    assert await rest.is_model_ready(server.url, case.manifest.name)


@pytest.mark.parametrize("rest", ["v2"], indirect=True)
async def test_v2_by_feature(server: ServerProcess, case: Case, rest: Any) -> None:
    columns = [column(name, case.X[:, [i]]) for i, name in enumerate(case.features)]
    request = InferRequest(case.manifest.name, columns[::-1])
    answer = await rest.infer(server.url, request, model_name=case.manifest.name)
    case.check(answer.outputs[0].as_numpy())


@pytest.mark.parametrize("binary", [False, True])
async def test_kserve_grpc_client(server: ServerProcess, case: Case, *, binary: bool) -> None:
    async with InferenceGRPCClient(f"127.0.0.1:{server.grpc_port}", timeout=30) as client:
        request = InferRequest(case.manifest.name, [matrix(case.X, binary=binary)])
        answer = await client.infer(request)
        case.check(answer.outputs[0].as_numpy())
        assert await client.is_model_ready(case.manifest.name)
        assert await client.is_server_ready()


def matrix(X: npt.NDArray[np.float64], *, binary: bool) -> InferInput:
    return column("input-0", X, binary=binary)


def column(name: str, X: npt.NDArray[np.float64], *, binary: bool = False) -> InferInput:
    tensor = InferInput(name, list(X.shape), "FP64")
    tensor.set_data_from_numpy(X, binary_data=binary)
    return tensor
