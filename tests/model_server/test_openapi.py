"""The OpenAPI document is true: strangers' tools find nothing wrong, and predict by it."""

import importlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.processes import DEADLINE_S, ServerProcess
from soak.fuzzing import openapi
from tests.application.browser import chromium, opened
from tests.model_server import small_models

TOKEN = "secret"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("openapi")
    tokens = folder / "tokens"
    tokens.write_text(TOKEN)
    flags = ("--token-file", str(tokens), "--docs", "--repository-api")
    models = small_models.write(folder / "models")
    shutil.rmtree(models / "estimator")  # nobody knows which numbers an estimator can't read
    with ServerProcess(models, *flags, log=folder / "log") as started:
        yield started


def test_schemathesis_finds_nothing(server: ServerProcess, tmp_path: Path) -> None:
    count, failures = openapi.explore(server.url, tmp_path, examples=3, seed=0, token=TOKEN)
    assert not failures, failures[0]
    assert count > 500


@pytest.fixture(scope="module")
def generated(server: ServerProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The modules of a client that openapi-python-client makes of the document."""
    folder = tmp_path_factory.mktemp("generated")
    document = folder / "openapi.json"
    document.write_bytes(server.client.get("/openapi.json").content)
    program = str(Path(sys.executable).with_name("openapi-python-client"))
    made = subprocess.run(
        [
            *(program, "generate", "--path", str(document), "--meta", "none"),
            *("--output-path", str(folder / "generated_client")),
        ],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=True,
    )
    assert "Unable to" not in made.stdout + made.stderr
    sys.path.insert(0, str(folder))
    try:
        yield lambda name: importlib.import_module(f"generated_client.{name}".rstrip("."))
    finally:
        sys.path.remove(str(folder))


def test_a_generated_client_predicts(server: ServerProcess, generated: Any) -> None:
    models = generated("models")
    shape = models.ShapesInstanceByNameShape.ROUND
    rows = [models.ShapesInstanceByName(area=1.5, shape=shape), [8.25, "flat"]]
    inputs = [{"name": "input-0", "shape": [1, 2], "datatype": "FP64", "data": [1.5, 20]}]
    predict = generated("api.v1.post_v1_models_shapes_predict").sync
    infer = generated("api.v2.post_v2_models_numbers_infer").sync
    with generated("").AuthenticatedClient(base_url=server.url, token=TOKEN) as client:
        shapes = predict(client=client, body=models.ShapesPredictRequest(instances=rows))
        asked = models.NumbersInferRequest.from_dict({"inputs": inputs})
        numbers = infer(client=client, body=asked)
        refused = predict(client=client, body=[[1.5, "oval"]])
    assert shapes.predictions == _ask(server, "shapes", [[1.5, "round"], [8.25, "flat"]])
    assert numbers.outputs[0].data == _ask(server, "numbers", [[1.5, 20]])
    assert (refused.row, refused.feature) == (1, "shape")


def _ask(server: ServerProcess, model: str, rows: list[list[Any]]) -> Any:
    path, headers = f"/v1/models/{model}:predict", {"authorization": f"Bearer {TOKEN}"}
    return server.client.post(path, json={"instances": rows}, headers=headers).json()["predictions"]


@pytest.mark.needs("chromium")
def test_its_pages_load_nothing_from_elsewhere(server: ServerProcess) -> None:
    asked: list[str] = []
    with chromium() as browser, opened(browser) as page:
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{server.url}/docs")
        page.get_by_text("/v1/models/shapes:predict").wait_for()
    assert all(url.startswith((server.url, "data:")) for url in asked)
    assert server.client.get("/v1/models").status_code == 401
