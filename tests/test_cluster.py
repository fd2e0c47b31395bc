"""``manifests/cluster.py`` where something is missing: one line that says what to do, no trace."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from manifests.cluster import HERE, PROGRAMS, Cluster, ClusterError

pytestmark = pytest.mark.slow

ADDONS = yaml.safe_load((HERE / "addons.yaml").read_text())


def refuse(path: Path, *arguments: str) -> str:
    """Run it with the programs of one folder, and return the line of its error."""
    command = [sys.executable, str(HERE / "cluster.py"), *arguments]
    environment = {**os.environ, "PATH": str(path)}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    [line] = ended.stderr.splitlines()
    return str(line)


def programs(folder: Path, text: str) -> Path:
    """Write every program that it runs, as one that ends at once or can't be run."""
    folder.mkdir()
    for name in PROGRAMS:
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return folder


@pytest.fixture
def repositories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Leave Helm alone real, and without a repository; return the file that it keeps them in."""
    found = shutil.which("helm")
    assert found
    path = programs(tmp_path / "bin", "#!/bin/sh\n")
    (path / "helm").unlink()
    (path / "helm").symlink_to(found)
    file = tmp_path / "repositories.yaml"
    monkeypatch.setenv("PATH", str(path))
    monkeypatch.setenv("HELM_REPOSITORY_CONFIG", str(file))
    monkeypatch.delenv("CHART_MIRROR", raising=False)
    return file


@pytest.mark.parametrize("arguments", [["up"], ["load", "model-server:0.1.0"], ["down"]])
@pytest.mark.parametrize("missing", PROGRAMS)
def test_a_missing_program_is_told(tmp_path: Path, missing: str, arguments: list[str]) -> None:
    path = programs(tmp_path / "bin", "#!/bin/sh\n")
    (path / missing).unlink()

    assert (
        refuse(path, *arguments) == f"error: {missing} is not installed; install it and try again"
    )


def test_a_program_that_cannot_be_run_is_told(tmp_path: Path) -> None:
    path = programs(tmp_path / "bin", f"#!{tmp_path}/gone\n")

    assert refuse(path, "down").startswith("error: kind can't be run: ")


@pytest.mark.needs("helm")
@pytest.mark.parametrize("addon", ADDONS, ids=lambda addon: addon["chart"])
def test_a_repository_that_helm_does_not_know_is_told(
    repositories: Path, addon: dict[str, str]
) -> None:
    chart, repository = addon["chart"], addon["repository"]

    with pytest.raises(ClusterError) as caught:
        Cluster("none")._source(addon)

    said = str(caught.value)
    assert f"Helm knows no repository '{repository}'" in said
    assert f"`helm search hub {chart} --list-repo-url`" in said
    assert f"`helm repo add {repository} ADDRESS`" in said


@pytest.mark.needs("helm")
def test_a_repository_that_helm_knows_is_taken(repositories: Path) -> None:
    entry = {"name": "kserve", "url": "https://charts.invalid"}
    repositories.write_text(yaml.safe_dump({"apiVersion": "v1", "repositories": [entry]}))

    assert Cluster("none")._source(ADDONS[-1]) == "kserve/kserve-resources"


@pytest.mark.needs("helm")
@pytest.mark.parametrize(
    ("mirror", "source"),
    [
        ("/charts", "/charts/kserve-resources"),
        ("oci://charts.invalid/", "oci://charts.invalid/kserve-resources"),
        ("kserve=oci://charts.invalid", "oci://charts.invalid/kserve-resources"),
        ("jetstack=/other,/charts", "/charts/kserve-resources"),
    ],
)
def test_a_mirror_is_taken(
    repositories: Path, monkeypatch: pytest.MonkeyPatch, mirror: str, source: str
) -> None:
    monkeypatch.setenv("CHART_MIRROR", mirror)

    assert Cluster("none")._source(ADDONS[-1]) == source
