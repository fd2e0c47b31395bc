"""The predictor is a custom model of KServe's: its own routes, untouched, predict with it."""

from pathlib import Path
from typing import Any

import httpx
import kserve.model_server
import numpy as np
import pytest
from kserve import InferenceRESTClient, InferInput, InferRequest, ModelRepository, RESTConfig
from kserve.protocol.dataplane import DataPlane
from kserve.protocol.model_repository_extension import ModelRepositoryExtension
from kserve.protocol.rest.server import RESTServer

from model_server.inference.executor import Executors
from model_server.inference.served import Served
from model_server.kserve.predictor import Predictor
from model_server.model import directory, loading

GOOD, EXPECTED = {"instances": [[6.5]]}, pytest.approx(21310.95, abs=0.02)


@pytest.fixture(scope="module")
def transport(models: Path) -> httpx.ASGITransport:
    read = directory.read(models / "rooms")
    served = Served(read, loading.load(read), Executors(queue_limit_s=60).start(), rows_limit=10)
    registry = ModelRepository()
    registry.update(Predictor(served))
    dataplane = DataPlane(model_registry=registry)
    RESTServer("", dataplane, ModelRepositoryExtension(registry), 0).create_application()
    return httpx.ASGITransport(kserve.model_server.app)


async def test_v1(transport: httpx.ASGITransport) -> None:
    async with httpx.AsyncClient(transport=transport, base_url="http://kserve") as client:
        answer = await client.post("/v1/models/rooms:predict", json=GOOD)
        assert answer.json()["predictions"] == [EXPECTED]
        refused = await client.post("/v1/models/rooms:predict", json={"instances": [["six"]]})
        assert refused.status_code == 400
        assert "row 1, feature 'RM': 'six' is not a number" in refused.text
        told = (await client.get("/v2/models/rooms")).json()
        assert told["inputs"] == [{"name": "input-0", "datatype": "FP64", "shape": [-1, 1]}]


@pytest.mark.parametrize("binary", [False, True])
async def test_v2(transport: httpx.ASGITransport, *, binary: bool) -> None:
    client = InferenceRESTClient(RESTConfig(transport=transport, protocol="v2"))
    tensor = InferInput("input-0", [2, 1], "FP64")
    tensor.set_data_from_numpy(np.array([[6.5], [7.0]]), binary_data=binary)
    request = InferRequest("rooms", [tensor])
    answer: Any = await client.infer("http://kserve", request, model_name="rooms")
    assert answer.outputs[0].shape == [2]
    assert answer.outputs[0].data[0] == EXPECTED
