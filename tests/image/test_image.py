"""The server's image: small, without tools or training, as any user, on a read-only file system."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from kserve import InferenceGRPCClient, InferInput, InferRequest
from sklearn.kernel_ridge import KernelRidge

from harness.ports import reserve_port
from model_server.model import directory as model_directory
from model_server.model.directory import JOBLIB
from tests.image.container import (
    HARDENED,
    TRAINING,
    Container,
    bill_of_materials,
    check_compiled_modules,
    check_no_tools,
    docker,
    importable,
    inspect,
    installed,
)
from training.dataset import build
from training.package import package

pytestmark = pytest.mark.needs("docker")


@pytest.mark.parametrize("user", ["65532:65532", "12345:0", "0:0"])
def test_it_answers_as_any_user_on_a_read_only_file_system(
    server_image: str, containers: list[Container], user: str
) -> None:
    container = Container(server_image, *HARDENED, f"--user={user}")
    containers.append(container)
    container.wait_ready()
    for name in ("rooms", "boston"):
        manifest = json.loads(
            docker("exec", container.name, "cat", f"/models/{name}/manifest.json")
        )
        answer = container.client.post(
            f"/v1/models/{name}:predict", json={"instances": manifest["golden"]["instances"]}
        )
        expected = pytest.approx(manifest["golden"]["predictions"], rel=1e-4)
        assert answer.json()["predictions"] == expected


@pytest.fixture
def graphless(own_models: Path) -> Path:
    """Put an estimator without its graph beside the trained models."""
    table = {"area": [f"{row}" for row in range(40)], "price": [f"{row**2}" for row in range(40)]}
    dataset = build(table, "price", ["area"])
    made = package(KernelRidge(kernel="rbf").fit(dataset.inputs, dataset.y), dataset, "kernel")
    estimator = {JOBLIB: made.files[JOBLIB]}
    model_directory.write(own_models / "kernel", made.manifest, estimator)
    return own_models


async def test_it_answers_by_graph_and_by_estimator_in_every_protocol(
    server_image: str, containers: list[Container], graphless: Path
) -> None:
    port = reserve_port()
    mounted = (f"--volume={graphless}:/models:ro", f"--publish=127.0.0.1:{port}:8081")
    container = Container(server_image, *HARDENED, *mounted)
    containers.append(container)
    container.wait_ready()
    for name in ("rooms", "boston", "kernel"):
        golden = model_directory.read(graphless / name).manifest.golden
        expected = pytest.approx(golden.predictions, rel=1e-4)
        X = np.array(golden.instances, dtype=np.float64)
        tensor = InferInput("input-0", list(X.shape), "FP64")
        tensor.set_data_from_numpy(X, binary_data=False)
        request = InferRequest(name, [tensor])

        in_json = container.client.post(
            f"/v1/models/{name}:predict", json={"instances": X.tolist()}
        )
        in_csv = container.client.post(
            f"/v1/models/{name}:predict",
            content="".join(",".join(map(str, row)) + "\n" for row in X.tolist()),
            headers={"content-type": "text/csv", "accept": "text/csv"},
        )
        v2 = container.client.post(f"/v2/models/{name}/infer", json={"inputs": [tensor.to_dict()]})
        async with InferenceGRPCClient(f"127.0.0.1:{port}", timeout=30) as client:
            by_grpc = await client.infer(request)

        assert in_json.json()["predictions"] == expected
        assert [float(line) for line in in_csv.text.splitlines()] == expected
        assert v2.json()["outputs"][0]["data"] == expected
        assert by_grpc.outputs[0].as_numpy().tolist() == expected


def test_it_trains_nothing_and_says_what_does(server_image: str) -> None:
    ended = subprocess.run(
        ["docker", "run", "--rm", server_image, "train"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (2, "", 1)
    assert "docker build --target sagemaker" in ended.stderr
    assert importable(server_image, "sklearn", "joblib", "pandas", *TRAINING) == {
        *("sklearn", "joblib", "pandas")
    }


def test_its_compiled_modules_load(server_image: str) -> None:
    check_compiled_modules(server_image)


def test_it_receives_the_signal_itself(server_image: str, containers: list[Container]) -> None:
    container = Container(server_image, *HARDENED)
    containers.append(container)
    container.wait_ready()
    docker("stop", "--time=60", container.name)
    assert inspect(container.name)["State"]["ExitCode"] == 0
    assert (
        '"message":"stopped"'
        in subprocess.run(
            ["docker", "logs", container.name], capture_output=True, text=True, check=True
        ).stderr
    )


def test_it_tells_its_health(server_image: str, containers: list[Container]) -> None:
    container = Container(server_image, "--health-interval=1s", "--health-start-period=1s")
    containers.append(container)
    container.wait_healthy()


def test_other_models_take_the_place_of_those_inside(
    server_image: str, containers: list[Container], own_models: Path
) -> None:
    (own_models / "rooms").rename(own_models.parent / "rooms")
    own_models.parent.chmod(0o755)
    container = Container(server_image, *HARDENED, f"--volume={own_models}:/models:ro")
    containers.append(container)
    container.wait_ready()
    assert container.client.get("/v1/models").json() == {"models": ["boston"]}


def test_it_tells_its_packages(server_image: str) -> None:
    listed = bill_of_materials(server_image)
    assert listed == installed(server_image)
    assert "kserve" in dict(listed)


def test_it_is_small_and_without_tools(server_image: str) -> None:
    described = inspect(server_image)
    assert described["Size"] <= 470e6
    assert described["Config"]["User"] == "65532:65532"
    assert described["Config"]["Entrypoint"] == ["start"]
    labels = described["Config"]["Labels"]
    assert labels["org.opencontainers.image.title"] == "model-server"
    assert not any(label.startswith("com.amazonaws") for label in labels)
    check_no_tools(server_image, "find / -xdev -name '*.ttf' | grep .")
