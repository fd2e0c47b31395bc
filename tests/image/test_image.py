"""The image: small, without tools, as any user, on a read-only file system."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.image.container import HARDENED, Container, bill_of_materials, docker, inspect, installed

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
    assert described["Size"] <= 620e6
    assert described["Config"]["User"] == "65532:65532"
    assert described["Config"]["Entrypoint"] == ["start"]
    labels = described["Config"]["Labels"]
    assert labels["org.opencontainers.image.title"] == "model-server"
    script = (
        "! command -v pip && ! command -v pip3 && ! command -v gcc && ! python -c 'import pip'"
        " && python -c 'import sklearn' && ! ls -d /root/.cache /var/lib/apt/lists/*_Packages"
    )
    docker("run", "--rm", "--entrypoint=sh", server_image, "-c", f"({script}) 2>/dev/null")
