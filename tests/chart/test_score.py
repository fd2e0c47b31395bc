"""kube-score's opinion of the chart, and of charts that have a fault."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.chart.helm_chart import ROOT
from tests.chart.test_generate import replace

pytestmark = pytest.mark.needs("helm", "kube-score")

CHART = "charts/model-server"
EXCEPTIONS = "charts/kube-score.yaml"
SERVER = "Deployment/apps/v1/model-server/model-server"
TEST = "Pod/v1/model-server/model-server-test-predict"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "charts", tmp_path / "charts")
    return tmp_path


def score(root: Path, path: str = os.environ["PATH"]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "charts/score.py"), "--root", str(root)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PATH": path}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def test_nothing_is_found() -> None:
    run = score(ROOT)

    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("file", "change", "says", "whose"),
    [
        (
            "values.yaml",
            ("  runAsUser: 65532\n", "  runAsUser: 1000\n"),
            "The container is running with a low user ID",
            {
                f"{SERVER}-predictor of default values in mode kserve",
                f"{SERVER} of production values in mode deployment",
                f"{SERVER}-application of default values in mode kserve",
                f"{TEST} of default values in mode kserve",
            },
        ),
        (
            "values.yaml",
            ("  limits: {memory: 512Mi, ephemeral-storage: 256Mi}", "  limits: {}"),
            "Memory limit is not set",
            {f"{SERVER}-predictor of production values in mode kserve"},
        ),
        (
            "values-production.yaml",
            ("\nautoscaling: {minReplicas: 2}", "\nautoscaling: {minReplicas: 1}"),
            "No matching PodDisruptionBudget was found",
            {f"{SERVER} of production values in mode deployment"},
        ),
    ],
    ids=["user", "memory", "production"],
)
def test_a_fault_is_named_in_either_mode(
    copy: Path, file: str, change: tuple[str, str], says: str, whose: set[str]
) -> None:
    replace(copy / CHART / file, *change)

    run = score(copy)

    lines = run.stdout.splitlines()
    assert run.returncode == 1
    assert whose <= {line.partition(": ")[0] for line in lines if f": {says} (" in line}
    assert all(f"or give a reason in {EXCEPTIONS}" in line for line in lines)
    assert len(set(lines)) == len(lines)


def test_an_exception_that_forgives_nothing_is_named(copy: Path) -> None:
    replace(copy / EXCEPTIONS, "  says: CPU limit", "  says: GPU limit")

    run = score(copy)

    assert run.returncode == 1
    assert f"{EXCEPTIONS}: nothing is found of container-resources" in run.stdout
    assert "CPU limit is not set (container-resources); mend it" in run.stdout


def test_without_the_program_the_cure_is_told(tmp_path: Path) -> None:
    run = score(ROOT, path=str(tmp_path))

    assert run.returncode == 1
    assert run.stderr == "kube-score is missing: CONTRIBUTING.md tells how to install it\n"
