"""A release of another package that has renamed what this server needs ends the start."""

import json
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from harness.processes import DEADLINE_S, ROOT
from model_server import overrides, server

DOCTORED = """
import runpy, sys
{change}
sys.argv = ["model_server", "--models", "{models}", "--http-port", "0", "--no-grpc"]
runpy.run_module("model_server", run_name="__main__")
"""


def test_what_is_installed_has_it_all() -> None:
    server.check_packages()


@pytest.mark.parametrize(
    ("change", "package", "name"),
    [
        (
            "from kserve import ModelRepository as R\nR.drop = R.unload; del R.unload",
            "kserve",
            "ModelRepository.unload",
        ),
        (
            "from kserve.model import InferenceModel as M; del M.get_input_types",
            "kserve",
            "Model.get_input_types",
        ),
    ],
)
def test_what_is_missing_ends_the_start(models: Path, change: str, package: str, name: str) -> None:
    code = DOCTORED.format(change=change, models=models)
    ended = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert ended.returncode == 1, ended.stderr
    [line] = ended.stderr.splitlines()
    message = json.loads(line)["message"]
    assert f"{package} {metadata.version(package)} has no {name}" in message
    assert message.endswith(f"install {package}{overrides.RANGES[package][1]}")


def test_the_versions_that_work_are_those_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {
        requirement.name: requirement.specifier
        for requirement in map(Requirement, project["dependencies"])
    }
    for package, versions in overrides.RANGES.values():
        assert declared[package] == Requirement(package + versions).specifier
