"""The platform's folders, and the image run on them as the platform runs it."""

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.image.container import Container


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

    def run(self, image: str, *more: str) -> "subprocess.CompletedProcess[str]":
        """Train, on a read-only root file system and with standard input closed."""
        flags = ("--rm", "--network=none", "--read-only", "--tmpfs=/tmp", *more)
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


@contextmanager
def endpoint(image: str, *flags: str, port: int = 8080) -> Iterator[Container]:
    """Serve as the platform does, and wait for the ping."""
    hardened = ("--read-only", "--tmpfs=/tmp")
    container = Container(image, *hardened, *flags, port=port, words=("serve",))
    try:
        container.wait_ready("/ping")
        yield container
    finally:
        container.remove()


def invoke(container: Container, body: str, content_type: str, accept: str) -> httpx.Response:
    headers = {"content-type": content_type, "accept": accept}
    return container.client.post("/invocations", content=body, headers=headers)
