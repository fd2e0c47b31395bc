"""The platform's folders, and the image run on them as the platform runs it."""

import json
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from tests.server_process import DEADLINE_S, free_port

ROOT_USER = "0:0"


def docker(*arguments: str) -> str:
    ended = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


class Job:
    """A training job's folders.

    Parameters
    ----------
    root : Path
        What the container has at ``/opt/ml``.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        for folder in ("input/config", "input/data", "model", "output"):
            (root / folder).mkdir(parents=True)

    def configure(
        self, channels: Mapping[str, Mapping[str, str]], hyperparameters: Mapping[str, str]
    ) -> None:
        """Write the files of each channel, and the platform's own about them."""
        for channel, files in channels.items():
            (self.root / "input/data" / channel).mkdir()
            for name, text in files.items():
                (self.root / "input/data" / channel / name).write_text(text)
        config = self.root / "input/config"
        told: dict[str, Any] = {
            "hyperparameters": hyperparameters,
            "inputdataconfig": {name: {"TrainingInputMode": "File"} for name in channels},
            "resourceconfig": {"current_host": "algo-1", "hosts": ["algo-1"]},
        }
        for name, content in told.items():
            (config / f"{name}.json").write_text(json.dumps(content))

    def run(self, image: str, user: str = ROOT_USER) -> "subprocess.CompletedProcess[str]":
        """Train, on a read-only root file system and with standard input closed."""
        flags = ("--rm", "--network=none", "--read-only", "--tmpfs=/tmp", f"--user={user}")
        return subprocess.run(
            ["docker", "run", *flags, f"--volume={self.root}:/opt/ml", image, "train"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def failure(self) -> str:
        """The reason that was left for the platform."""
        return (self.root / "output/failure").read_text()


class Endpoint:
    """A container that serves, reached on a free port."""

    def __init__(self, image: str, *flags: str, inside: int = 8080, user: str = ROOT_USER) -> None:
        port = free_port()
        self.address = f"http://127.0.0.1:{port}"
        self._command = (
            *("run", "--detach", "--read-only", "--tmpfs=/tmp", f"--user={user}"),
            *(f"--publish=127.0.0.1:{port}:{inside}", *flags, image, "serve"),
        )

    def __enter__(self) -> Self:
        self.name = docker(*self._command)
        self.client = httpx.Client(base_url=self.address, timeout=30)
        try:
            self._wait()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.client.close()
        docker("rm", "--force", self.name)

    def invoke(self, body: str, content_type: str, accept: str) -> httpx.Response:
        headers = {"content-type": content_type, "accept": accept}
        return self.client.post("/invocations", content=body, headers=headers)

    def _wait(self) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline:
            try:
                if self.client.get("/ping").status_code == 200:
                    return
            except httpx.TransportError:
                if docker("inspect", "--format={{.State.Running}}", self.name) == "false":
                    break
            time.sleep(0.05)
        logs = subprocess.run(
            ["docker", "logs", self.name], capture_output=True, text=True, check=False
        )
        raise TimeoutError(f"no ping: {logs.stdout}{logs.stderr}")
