"""The image for Amazon SageMaker: the server's layers, and what trains on top of them."""

import pytest

from tests.image.container import (
    TRAINING,
    bill_of_materials,
    check_compiled_modules,
    check_no_tools,
    importable,
    inspect,
    installed,
)

pytestmark = pytest.mark.needs("docker")


def test_it_adds_to_the_layers_of_the_server(sagemaker_image: str, server_image: str) -> None:
    """All of the server's but its bill of materials, so that neither is stored or pulled twice."""
    layers = inspect(sagemaker_image)["RootFS"]["Layers"]
    shared = inspect(server_image)["RootFS"]["Layers"][:-1]
    assert layers[: len(shared)] == shared
    assert importable(sagemaker_image, *TRAINING) == TRAINING


def test_it_tells_its_packages(sagemaker_image: str, server_image: str) -> None:
    listed = bill_of_materials(sagemaker_image)
    assert listed == installed(sagemaker_image)
    assert listed > bill_of_materials(server_image)
    assert "matplotlib" in dict(listed)


def test_its_compiled_modules_load(sagemaker_image: str) -> None:
    check_compiled_modules(sagemaker_image)


def test_it_runs_as_root_and_without_tools(sagemaker_image: str) -> None:
    described = inspect(sagemaker_image)
    assert described["Size"] <= 520e6
    assert described["Config"]["User"] == "0:0"
    assert described["Config"]["Entrypoint"] == ["start"]
    labels = described["Config"]["Labels"]
    assert labels["org.opencontainers.image.title"] == "model-server-sagemaker"
    check_no_tools(sagemaker_image)
