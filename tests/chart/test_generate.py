"""The generator finds every file that does not follow from values.yaml."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.chart.helm_chart import ROOT, Object, component

pytestmark = pytest.mark.needs("helm")

VALUES = "charts/model-server/values.yaml"
SCHEMA = "charts/model-server/values.schema.json"
README = "charts/model-server/README.md"
PROBES = ("startup", "readiness", "liveness")
HPA_OF_APPLICATION = "manifests/application-horizontalpodautoscaler"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for folder in ("charts", "manifests"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    return tmp_path


def generate(root: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(root / "charts/generate.py"), *flags]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def replace(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_nothing_differs(copy: Path) -> None:
    run = generate(copy, "--check")

    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("file", "old", "new", "drifted"),
    [
        (VALUES, "maxReplicas: 5", "maxReplicas: 6", [README, "manifests/horizontalpodautoscaler"]),
        (VALUES, "# -- Most pods.", "# -- The most.", [SCHEMA, README]),
        (VALUES, "grpc: true\n", "grpc: true\n# -- New.\nnew: 1\n", [SCHEMA, README]),
        (SCHEMA, '"minimum": 1,', '"minimum": 2,', [SCHEMA]),
        (SCHEMA, '"headerTimeoutS": {', '"headTimeoutS": {', [SCHEMA]),
        (SCHEMA, '"uploadLimitBytes": {', '"uploadLimit": {', [SCHEMA]),
        (README, "| `5` | Most pods. |", "| `5` | Some pods. |", [README]),
        (
            VALUES,
            "    maxReplicas: 3",
            "    maxReplicas: 4",
            [README, f"{HPA_OF_APPLICATION}.yaml"],
        ),
        ("manifests/inferenceservice.yaml", "512Mi", "1Gi", ["manifests/inferenceservice.yaml"]),
    ],
)
def test_what_differs_is_named_and_written(
    copy: Path, file: str, old: str, new: str, drifted: list[str]
) -> None:
    replace(copy / file, old, new)

    check = generate(copy, "--check")

    assert check.returncode == 1
    assert len(check.stdout.splitlines()) == len(drifted)
    for line, path in zip(check.stdout.splitlines(), drifted, strict=True):
        assert line.startswith(path)
        assert "run `make chart`" in line
    assert generate(copy).returncode == 0
    assert generate(copy, "--check").returncode == 0


def test_a_key_without_a_comment_is_named(copy: Path) -> None:
    replace(copy / VALUES, "  # -- Most pods.\n  # @schema {minimum: 1}\n", "")

    run = generate(copy, "--check")

    assert run.returncode == 1
    assert run.stderr.startswith("values.yaml: autoscaling.maxReplicas has no comment")


def test_a_key_of_the_application_is_told_as_its_namesake() -> None:
    properties = json.loads((ROOT / SCHEMA).read_text())["properties"]
    own = properties["application"]["properties"]

    assert own["image"] == properties["image"]
    assert own["service"]["properties"]["type"] == properties["service"]["properties"]["type"] | {
        "description": "Type of the application's Service."
    }


def test_the_schema_is_closed_but_for_what_kubernetes_defines() -> None:
    schema = json.loads((ROOT / SCHEMA).read_text())

    def free(node: Object, path: str = "") -> list[str]:
        below = node.get("properties", {}).items()
        here = node.get("type") == "object" and node.get("additionalProperties", True) is True
        return [path] * here + [each for key, part in below for each in free(part, f"{path}.{key}")]

    assert free(schema) == [
        ".models.volume",
        ".resources",
        ".autoscaling.behavior",
        *(f".probes.{probe}" for probe in PROBES),
        ".podSecurityContext",
        ".securityContext",
        ".affinity",
        ".application.resources",
        *(f".application.probes.{probe}" for probe in PROBES),
        ".global",
    ]


def test_the_values_stay_readable() -> None:
    assert len((ROOT / VALUES).read_text().splitlines()) < 300


@pytest.mark.needs("kubectl")
def test_kubectl_takes_the_manifests() -> None:
    run = subprocess.run(
        ["kubectl", "kustomize", str(ROOT / "manifests")],
        capture_output=True,
        text=True,
        check=True,
    )

    objects = list(yaml.safe_load_all(run.stdout))
    [space] = [each["metadata"] for each in objects if each["kind"] == "Namespace"]
    objects = [each for each in objects if each["kind"] != "Namespace"]
    assert sorted((each["kind"], component(each)) for each in objects) == [
        ("Deployment", "application"),
        ("HorizontalPodAutoscaler", "application"),
        ("HorizontalPodAutoscaler", "server"),
        ("InferenceService", "server"),
        ("NetworkPolicy", "application"),
        ("NetworkPolicy", "server"),
        ("Service", "application"),
        ("ServiceAccount", "server"),
    ]
    assert {each["metadata"]["namespace"] for each in objects} == {space["name"]}
    assert "Helm" not in run.stdout
