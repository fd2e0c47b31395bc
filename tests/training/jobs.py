"""A training job of SageMaker: the folder that the platform makes, and the process on it."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COMMAND = ("-m", "training.sagemaker")


@dataclass(frozen=True)
class Job:
    """The platform's folder, to be filled."""

    root: Path

    @property
    def model(self) -> Path:
        return self.root / "model"

    @property
    def failure(self) -> Path:
        return self.root / "output" / "failure"

    def config(self, name: str, content: Any) -> None:
        """Write a file of ``input/config``; a text as it is."""
        path = self.root / "input" / "config" / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))

    def hyperparameters(self, **texts: Any) -> None:
        self.config("hyperparameters", texts)

    def put(self, path: str, text: str) -> None:
        """Write a file of a channel, as ``training/flats.csv``."""
        file = self.root / "input" / "data" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def run(self, *before: str) -> subprocess.CompletedProcess[str]:
        """Train, any warning being an error."""
        command = [*before, sys.executable, "-W", "error", *COMMAND, "--root", str(self.root)]
        return subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )

    def start(self) -> subprocess.Popen[str]:
        """Begin to train, to be stopped: an import that is cut off may leave a file unclosed."""
        command = [sys.executable, *COMMAND, "--root", str(self.root)]
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1
        )
