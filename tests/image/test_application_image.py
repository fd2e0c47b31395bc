"""The application's image: small, without the server's packages, as any user, read-only."""

import json
import uuid
from collections.abc import Iterator

import pytest

from tests.image.container import (
    HARDENED,
    Container,
    bill_of_materials,
    check_no_tools,
    docker,
    inspect,
    installed,
)

pytestmark = pytest.mark.needs("docker")

READY = "/healthz/ready"
PAGE = {"accept": "text/html"}


@pytest.fixture
def network(containers: list[Container]) -> Iterator[str]:
    """Make a network in which containers know each other by name; it outlives them."""
    name = docker("network", "create", f"test-{uuid.uuid4().hex}")
    yield name
    while containers:
        containers.pop().remove()
    docker("network", "rm", name)


@pytest.mark.parametrize("user", ["65532:65532", "12345:0", "0:0"])
def test_it_answers_as_any_user_on_a_read_only_file_system(
    application_image: str, containers: list[Container], user: str
) -> None:
    container = Container(application_image, *HARDENED, f"--user={user}", port=8000)
    containers.append(container)
    container.wait_ready(READY)

    page = container.client.get("/?RM=6.5", headers=PAGE)

    assert page.status_code == 503
    assert "The model server can&#39;t be reached just now." in page.text
    assert container.client.get("/about", headers=PAGE).status_code == 200


def test_it_tells_the_number_of_the_endpoint(
    application_image: str, server_image: str, containers: list[Container], network: str
) -> None:
    inside = (*HARDENED, f"--network={network}")
    server = Container(server_image, *inside, "--network-alias=server")
    containers.append(server)
    endpoint = "--env=APPLICATION_ENDPOINT=http://server:8080"
    container = Container(application_image, *inside, endpoint, port=8000)
    containers.append(container)
    server.wait_ready()
    container.wait_ready(READY)

    asked = server.client.post("/v1/models/rooms:predict", json={"instances": [[6.5]]})
    page = container.client.get("/?RM=6.5", headers=PAGE)
    rows = "6.5\n" * 300_000
    answer = container.client.post("/models/rooms/file", files={"file": f"RM\n{rows}"}, timeout=60)

    [value] = asked.json()["predictions"]
    assert f'<data value="{value}">' in page.text
    assert answer.text.splitlines()[-1] == f"6.5,{value},", "a file that waits in /tmp"


def test_it_receives_the_signal_itself(application_image: str, containers: list[Container]) -> None:
    container = Container(application_image, *HARDENED, port=8000)
    containers.append(container)
    container.wait_ready(READY)

    docker("stop", "--time=60", container.name)

    assert inspect(container.name)["State"]["ExitCode"] == 0


def test_it_tells_its_health(application_image: str, containers: list[Container]) -> None:
    flags = ("--health-interval=1s", "--health-start-period=1s", "--env=APPLICATION_PORT=9000")
    container = Container(application_image, *flags, port=9000)
    containers.append(container)

    container.wait_healthy()


def test_it_tells_its_packages(application_image: str) -> None:
    listed = bill_of_materials(application_image)
    assert listed == installed(application_image)
    assert "starlette" in dict(listed)


def test_it_is_small_and_without_tools(application_image: str) -> None:
    described = inspect(application_image)

    assert described["Size"] <= 200e6
    assert described["Config"]["User"] == "65532:65532"
    assert described["Config"]["Entrypoint"] == ["python", "-m", "application"]
    assert described["Config"]["ExposedPorts"] == {"8000/tcp": {}}
    labels = described["Config"]["Labels"]
    assert labels["org.opencontainers.image.title"] == "model-server-application"
    check_no_tools(application_image, "python -c 'import kserve'", "python -c 'import sklearn'")


def test_it_starts_from_bytecode(application_image: str) -> None:
    """Nothing is compiled at a start, as nothing compiled could be kept."""
    script = (
        "import application.__main__, json, os, sys;"
        "compiled = [getattr(module, '__cached__', None) for module in sys.modules.values()];"
        "own = [path for path in compiled if path and path.startswith(('/app', '/opt'))];"
        "print(json.dumps({path: os.path.exists(path) for path in own}))"
    )

    read = docker("run", "--rm", "--entrypoint=python", application_image, "-c", script)

    assert len(json.loads(read)) > 100
    assert all(json.loads(read).values())
