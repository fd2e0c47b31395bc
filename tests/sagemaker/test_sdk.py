"""The SDK of the platform on the image: the page's own Python, offline."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from harness.ports import reserve_port
from harness.processes import ROOT
from tests.sagemaker.optml import endpoint
from tests.sagemaker.router import MOUNTED

SDK = Path(sys.prefix) / "sagemaker" / "bin" / "python"
PAGE = ROOT / "docs" / "sagemaker.md"
DATA = ROOT / "training" / "data" / "boston_housing.csv"

pytestmark = [
    pytest.mark.needs("docker"),
    pytest.mark.skipif(
        not SDK.exists(), reason="SKIPPED FOR WANT OF A PROGRAM: the SDK is not installed"
    ),
]


def run(folder: Path, **asked: Any) -> dict[str, Any]:
    """Run the page's snippets with the SDK and return what they name."""
    settings = folder / "sdk.yaml"
    settings.write_text(
        'SchemaVersion: "1.0"\nSageMaker: {PythonSDK: {Modules: {TelemetryOptOut: true}}}\n'
    )
    environment = {
        **os.environ,
        "HOME": str(folder),
        "DOCKER_CONFIG": os.environ.get("DOCKER_CONFIG", str(Path.home() / ".docker")),
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
        "AWS_EC2_METADATA_DISABLED": "true",
        "SAGEMAKER_USER_CONFIG_OVERRIDE": str(settings),
    }
    ended = subprocess.run(
        [str(SDK), str(ROOT / "tests/sagemaker/snippets.py")],
        input=json.dumps({"page": str(PAGE), "folder": str(folder), **asked}),
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout[-4000:] + ended.stderr[-4000:]
    told: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return told


def test_fit_deploy_predict_and_transform_locally(sagemaker_image: str, tmp_path: Path) -> None:
    (tmp_path / "housing").mkdir()
    shutil.copy(DATA, tmp_path / "housing")
    (tmp_path / "asked").mkdir()
    asked = [f"{4 + row / 100:.2f}" for row in range(400)]
    (tmp_path / "asked" / "rooms.csv").write_text("\n".join(asked) + "\n")
    told = run(tmp_path, kind="local", image=sagemaker_image, port=reserve_port())
    assert told["blocks"] == 3
    dollars = told["by_json"]["predictions"]
    assert [float(cell) for [cell] in told["by_csv"]] == dollars
    assert 15_000 < dollars[0] < 30_000 < dollars[1] < 50_000
    lines = (tmp_path / "answered" / "rooms.csv.out").read_text().splitlines()
    assert len(lines) == len(asked)
    values = dict(zip(asked, map(float, lines), strict=True))
    assert values["6.50"] == dollars[0]


def test_every_call_of_the_page(sagemaker_image: str, models: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "rooms.tar.gz", "w:gz") as archive:
        archive.add(models / "rooms", arcname="rooms")
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    many = ("--env=SAGEMAKER_MULTI_MODEL=true", f"--volume={mounted}:{MOUNTED}:ro")
    with endpoint(sagemaker_image) as one, endpoint(sagemaker_image, *many) as hosting:
        told = run(
            tmp_path,
            kind="calls",
            one=one.url,
            many=hosting.url,
            archives=str(tmp_path),
            mounted=str(mounted),
        )
    [dollars] = json.loads(told["in_json"])["predictions"]
    assert 15_000 < dollars < 30_000
    lines = [float(line) for line in told["in_csv"].splitlines()]
    assert lines[0] == dollars < lines[1]
    assert float(told["of_many"]) == dollars
    assert {
        *("CreateTrainingJob", "CreateModel", "CreateEndpointConfig", "CreateEndpoint"),
        *("InvokeEndpoint", "RegisterScalableTarget", "PutScalingPolicy", "CreateTransformJob"),
        *("DeregisterScalableTarget", "DeleteEndpoint", "DeleteEndpointConfig", "DeleteModel"),
    } <= set(told["called"])
