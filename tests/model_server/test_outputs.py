"""What a model gives beside its predictions, asked for by name over every protocol."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from kserve import InferenceGRPCClient, InferInput, InferRequest
from kserve.protocol.infer_type import RequestedOutput
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.gaussian_process import GaussianProcessRegressor

from harness.processes import ServerProcess
from model_server.model import directory as model_directory
from model_server.model.directory import JOBLIB
from model_server.model.manifest import Output
from model_server.packing.package import Package
from training.dataset import build
from training.package import package

pytestmark = pytest.mark.slow

CSV, JSON, LINES = "text/csv", "application/json", "application/jsonlines"
NAMES = ["a", "b", "c", "d"]
BOTH = ["prediction", "probability"]
Asked = tuple[ServerProcess, Any, npt.NDArray[np.float64]]


def packaged(estimator: Any, y: npt.NDArray[Any]) -> tuple[Package, npt.NDArray[np.float64]]:
    X = load_iris().data
    table = {name: [*map(repr, column.tolist())] for name, column in zip(NAMES, X.T, strict=True)}
    dataset = build({**table, "y": [*map(str, y.tolist())]}, "y", NAMES)
    return package(estimator.fit(dataset.X, y), dataset, "model"), X


@pytest.fixture(scope="module", params=["graph", "estimator"])
def asked(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Asked]:
    models = tmp_path_factory.mktemp("models")
    forest = RandomForestClassifier(10, random_state=0)
    made, X = packaged(forest, load_iris().target_names[load_iris().target])
    files = dict(made.files)
    if request.param == "estimator":
        files = {JOBLIB: files[JOBLIB]}
    model_directory.write(models / "model", made.manifest, files)
    patient = ("--queue-limit-ms", "60000")  # twelve at a time ask an estimator
    with ServerProcess(models, *patient, log=models / "log") as server:
        yield server, forest, X[::7]


def test_v1_gives_them_by_name(asked: Asked) -> None:
    server, forest, X = asked
    body = {"instances": X.tolist(), "parameters": {"return": BOTH}}
    rows = server.predict("model", json.dumps(body), JSON).json()["predictions"]
    assert [row["prediction"] for row in rows] == forest.predict(X).tolist()
    np.testing.assert_allclose(
        [row["probability"] for row in rows], forest.predict_proba(X), rtol=0, atol=1e-15
    )


def test_one_alone_comes_plain(asked: Asked) -> None:
    server, forest, X = asked
    body = {"instances": X.tolist(), "parameters": {"return": ["probability"]}}
    rows = server.predict("model", json.dumps(body), JSON).json()["predictions"]
    np.testing.assert_allclose(rows, forest.predict_proba(X), rtol=0, atol=1e-15)
    plain = server.predict("model", json.dumps({"instances": X.tolist()}), JSON)
    assert plain.json() == {"predictions": forest.predict(X).tolist()}


@pytest.mark.parametrize("accept", [CSV, LINES])
def test_a_query_asks_for_them(asked: Asked, accept: str) -> None:
    server, forest, X = asked
    text = "".join(",".join(map(repr, row)) + "\n" for row in X.tolist())
    answer = server.client.post(
        "/v1/models/model:predict?return=prediction,probability",
        content=text,
        headers={"content-type": CSV, "accept": accept},
    )
    expected = zip(forest.predict(X).tolist(), forest.predict_proba(X).tolist(), strict=True)
    for line, (label, probabilities) in zip(answer.text.splitlines(), expected, strict=True):
        if accept == CSV:
            told, *numbers = line.split(",")
            row = {"prediction": told, "probability": [*map(float, numbers)]}
        else:
            row = json.loads(line)
        assert row["prediction"] == label
        assert row["probability"] == pytest.approx(probabilities, rel=0, abs=1e-15)


@pytest.mark.parametrize("binary_data", [{"binary_data": False}, {"binary_data": True}])
async def test_v2_gives_them_by_name(asked: Asked, binary_data: dict[str, bool]) -> None:
    server, forest, X = asked
    tensor = InferInput("input-0", list(X.shape), "FP64")
    tensor.set_data_from_numpy(X, **binary_data)
    outputs = [RequestedOutput("output-0"), RequestedOutput("probability")]
    request = InferRequest("model", [tensor], request_outputs=outputs)
    async with InferenceGRPCClient(f"127.0.0.1:{server.grpc_port}", timeout=30) as client:
        by_grpc = await client.infer(request)
    body: dict[str, Any] = {"inputs": [{**tensor.to_dict(), "data": X.tolist()}]}
    body["inputs"][0].pop("parameters", None)
    body["outputs"] = [{"name": "output-0"}, {"name": "probability"}]
    by_rest = server.client.post("/v2/models/model/infer", json=body).json()["outputs"]
    assert [each["name"] for each in by_rest] == ["output-0", "probability"]
    assert by_rest[0]["data"] == forest.predict(X).tolist()
    expected = forest.predict_proba(X)
    np.testing.assert_allclose(by_rest[1]["data"], expected.reshape(-1), rtol=0, atol=1e-15)
    told, probabilities = by_grpc.outputs
    labels = [each.decode() if isinstance(each, bytes) else each for each in told.as_numpy()]
    assert labels == forest.predict(X).tolist()
    np.testing.assert_allclose(probabilities.as_numpy(), expected, rtol=0, atol=1e-15)


def test_what_there_is_is_told(asked: Asked) -> None:
    server, _, X = asked
    schema = server.client.get("/v1/models/model/schema").json()
    classes = load_iris().target_names.tolist()
    assert schema["outputs"]["probability"]["x-names"] == classes
    assert schema["returned"] == ["prediction"]
    metadata = server.client.get("/v2/models/model").json()
    assert [(each["name"], each["shape"]) for each in metadata["outputs"]][:2] == [
        ("output-0", [-1]),
        ("probability", [-1, 3]),
    ]
    body = {"instances": X.tolist(), "parameters": {"return": ["chance"]}}
    answer = server.predict("model", json.dumps(body), JSON)
    assert answer.status_code == 400
    assert answer.json()["error"] == (
        "the model has no output 'chance'; it gives prediction, probability"
    )
    matrix = {"name": "input-0", "datatype": "FP64", "shape": [1, 4], "data": [1, 2, 3, 4]}
    v2 = {"inputs": [matrix], "outputs": [{"name": "chance"}]}
    assert (
        "the model has no output 'chance'"
        in (server.client.post("/v2/models/model/infer", json=v2).json()["error"])
    )


def test_requests_that_ask_differently_are_not_mixed_up(asked: Asked) -> None:
    """Sent at once, so that some are merged with others."""
    server, forest, X = asked
    questions = [(row, names) for row in X for names in (["prediction"], ["probability"], BOTH)]

    def told(question: tuple[Any, list[str]]) -> Any:
        row, names = question
        body = {"instances": [row.tolist()], "parameters": {"return": names}}
        return server.predict("model", json.dumps(body), JSON).json()["predictions"][0]

    with ThreadPoolExecutor(12) as threads:
        answers = [*threads.map(told, questions)]
    for (row, names), answer in zip(questions, answers, strict=True):
        given = answer if len(names) > 1 else {names[0]: answer}
        assert [*given] == names
        if "prediction" in names:
            assert given["prediction"] == forest.predict([row])[0]
        if "probability" in names:
            [expected] = forest.predict_proba([row])
            np.testing.assert_allclose(given["probability"], expected, rtol=0, atol=1e-15)


def test_a_gaussian_process_tells_its_deviation(tmp_path: Path) -> None:
    y = load_iris().data.sum(axis=1)
    made, X = packaged(GaussianProcessRegressor(alpha=0.1), y)
    files = {JOBLIB: made.files[JOBLIB]}
    estimator = GaussianProcessRegressor(alpha=0.1).fit(X, y)
    std = Output(name="std", method="predict_std")
    manifest = made.manifest.model_copy(update={"outputs": (made.manifest.outputs[0], std)})
    model_directory.write(tmp_path / "model", manifest, files)
    body = {"instances": X[:3].tolist(), "parameters": {"return": ["prediction", "std"]}}
    with ServerProcess(tmp_path, log=tmp_path / "log") as server:
        rows = server.predict("model", json.dumps(body), JSON).json()["predictions"]
    y_told, deviation = estimator.predict(X[:3], return_std=True)
    np.testing.assert_array_equal([row["prediction"] for row in rows], y_told)
    np.testing.assert_array_equal([row["std"] for row in rows], deviation)
