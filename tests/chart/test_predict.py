"""``helm test``: the script that its pod runs, against a real server."""

import json
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.processes import ServerProcess
from tests.chart.helm_chart import CHART, HelmChart

pytestmark = pytest.mark.needs("helm")


@pytest.fixture
def script(chart: HelmChart) -> str:
    """Take the script as it stands in the rendered pod."""
    [container] = chart.pod(of="test")["containers"]
    assert container["command"] == ["python", "-c"]
    return str(container["args"][0])


def run(script: str, url: str, models: Path) -> tuple[int, list[str]]:
    command = [sys.executable, "-c", script, url, str(models)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    return ended.returncode, sorted(ended.stdout.splitlines())


def change(models: Path, **parts: Any) -> None:
    """Change the manifest of the rooms model, which the script trusts."""
    file = models / "rooms/manifest.json"
    manifest = json.loads(file.read_text())
    file.write_text(json.dumps(manifest | parts))


def test_sound_models_pass(script: str, server: ServerProcess, models: Path) -> None:
    code, lines = run(script, server.url, models)

    assert code == 0
    assert [line.split(":")[0] for line in lines] == ["boston", "rooms"]
    assert all(line.endswith(" golden rows as expected") for line in lines)


def test_a_wrong_prediction_is_shown(script: str, server: ServerProcess, own_models: Path) -> None:
    change(own_models, golden={"instances": [[6.5], [7.5]], "predictions": [1.0, 2.0]})

    code, lines = run(script, server.url, own_models)

    assert code == 1
    assert lines[1].startswith("rooms: predicts ")
    assert lines[1].endswith(" where 1.0 is expected")


def test_an_error_of_the_server_is_shown(
    script: str, server: ServerProcess, own_models: Path
) -> None:
    change(own_models, golden={"instances": [["many"]], "predictions": [1.0]})

    code, lines = run(script, server.url, own_models)

    assert code == 1
    assert lines[1].startswith("rooms: answered with 400: ")
    assert "'many' is not a number" in lines[1]


def test_a_folder_without_models_fails(script: str, server: ServerProcess, tmp_path: Path) -> None:
    assert run(script, server.url, tmp_path) == (1, [f"{tmp_path}: holds no model"])


@pytest.mark.parametrize(
    ("actual", "expected", "agree"),
    [
        (20.25, 20.0, True),
        (20.75, 20.0, False),
        (19.25, 20.0, False),
        ("setosa", "setosa", True),
        ("setosa", "virginica", False),
    ],
)
def test_a_number_may_be_near_and_a_label_may_not(
    actual: float | str, expected: float | str, *, agree: bool
) -> None:
    agrees = runpy.run_path(str(CHART / "files/predict.py"))["agree"]

    assert agrees(actual, expected, absolute=0.1, relative=0.01) == agree
