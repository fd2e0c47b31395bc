"""Containers of the images, as hardened as a cluster has them."""

import json
import subprocess
import time
from typing import Any

import httpx

from harness.ports import reserve_port
from harness.processes import DEADLINE_S

HARDENED = ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--tmpfs=/tmp")
TRAINING = {"training", "fontTools", "matplotlib", "onnx", "PIL", "skl2onnx"}
"""Modules of the training, which the server has no use for."""


def docker(*arguments: str) -> str:
    ended = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


def inspect(name: str) -> Any:
    [described] = json.loads(docker("inspect", name))
    return described


def bill_of_materials(image: str) -> set[tuple[str, str]]:
    """Return the names and versions that an image's own file lists."""
    bill = json.loads(docker("run", "--rm", "--entrypoint=cat", image, "/sbom.cdx.json"))
    assert bill["bomFormat"] == "CycloneDX"
    return {(one["name"], one["version"]) for one in bill["components"]}


def installed(image: str) -> set[tuple[str, str]]:
    """Return the names and versions of an image's Python packages."""
    script = (
        "from importlib.metadata import distributions as d; import json;"
        "print(json.dumps([(one.name, one.version) for one in d()]))"
    )
    read = docker("run", "--rm", "--entrypoint=python", image, "-c", script)
    return {(name, version) for name, version in json.loads(read)}


def importable(image: str, *modules: str) -> set[str]:
    """Return which of these modules an image has."""
    script = (
        "from importlib.util import find_spec; import sys;"
        "print(*[name for name in sys.argv[1:] if find_spec(name)])"
    )
    return set(docker("run", "--rm", "--entrypoint=python", image, "-c", script, *modules).split())


def check_no_tools(image: str, *more: str) -> None:
    """See that no installer, compiler or cache is left, and that other commands fail as well."""
    absent = (
        *("command -v pip", "command -v pip3", "command -v gcc", "python -c 'import pip'"),
        "ls -d /root/.cache /var/lib/apt/lists/*_Packages",
        *more,
    )
    script = " && ".join(f"! ({command})" for command in absent)
    docker("run", "--rm", "--entrypoint=sh", image, "-c", f"({script}) 2>/dev/null")


def check_compiled_modules(image: str) -> None:
    """See that each compiled module still loads, stripped as it is, with what it links to."""
    script = (
        "import ctypes, os, pathlib;"
        "found = list(pathlib.Path('/opt/venv').rglob('*.so'));"
        "[ctypes.CDLL(str(path)) for path in found];"
        "print(len(found), flush=True);"
        "os._exit(0)"
    )
    assert int(docker("run", "--rm", "--entrypoint=python", image, "-c", script)) > 200


class Container:
    """A running container, reached on a free port."""

    def __init__(
        self, image: str, *flags: str, port: int = 8080, words: tuple[str, ...] = ()
    ) -> None:
        published = reserve_port()
        self.url = f"http://127.0.0.1:{published}"
        self.name = docker(
            "run", "--detach", *flags, f"--publish=127.0.0.1:{published}:{port}", image, *words
        )
        self.client = httpx.Client(base_url=self.url, timeout=30)

    def wait_ready(self, path: str = "/v2/health/ready") -> None:
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline and inspect(self.name)["State"]["Running"]:
            try:
                if self.client.get(path).status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.05)
        raise TimeoutError(docker("logs", self.name))

    def wait_healthy(self) -> None:
        """Wait until the image's own check says so."""
        deadline = time.monotonic() + DEADLINE_S
        while inspect(self.name)["State"]["Health"]["Status"] != "healthy":
            assert time.monotonic() < deadline, docker("logs", self.name)
            time.sleep(0.2)

    def remove(self) -> None:
        self.client.close()
        docker("rm", "--force", self.name)
