"""The wheel: it holds ``model_server`` alone, and serves where nothing of the repository is."""

import os
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path

import httpx
import joblib
import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from harness.ports import reserve_port
from harness.processes import DEADLINE_S, ROOT, until
from model_server.model import directory
from training.dataset import build
from training.package import package

pytestmark = pytest.mark.slow

PACKAGE = "model_server"
MODELS = ("graph", "estimator")


def uv(environment: Path, *arguments: str | Path) -> None:
    program = ROOT / "requirements/uv_as_pip.py"
    subprocess.run([sys.executable, program, environment, *arguments, "--quiet"], check=True)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build it from a copy: the backend leaves folders beside the sources, and takes from them."""
    sources = tmp_path_factory.mktemp("sources")
    for folder in (PACKAGE, "application", "training", "bench"):
        shutil.copytree(ROOT / folder, sources / folder)
    for file in ("pyproject.toml", "README.md", "LICENSE", "run.py"):
        shutil.copy(ROOT / file, sources)
    uv(Path(sys.prefix), "build", "--wheel", "--no-build-isolation", sources)
    [built] = (sources / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Install it with its extra into an empty environment, in the versions of the lock."""
    environment = tmp_path_factory.mktemp("environment") / "venv"
    lock = ROOT / "requirements/run.txt"
    uv(environment, "pip", "install", f"{wheel}[sklearn]", "--constraint", lock)
    yield environment
    shutil.rmtree(environment)


@pytest.fixture
def two_models(tmp_path: Path) -> Path:
    """Fit a model for each runtime: a graph, and an estimator alone."""
    folder = tmp_path / "two"
    table = {"x": [f"{x}" for x in range(30)], "y": [f"{2.5 * x}" for x in range(30)]}
    dataset = build(table, "y")
    estimator = LinearRegression().fit(dataset.inputs, dataset.y)
    for name in MODELS:
        made = package(estimator, dataset, name)
        files = {file: made.files[file] for file in (directory.JOBLIB, directory.ONNX)}
        if name == "estimator":
            del files[directory.ONNX]
        directory.write(folder / name, made.manifest, files)
    return folder


@contextmanager
def serving(environment: Path, models: Path, cwd: Path) -> Iterator[httpx.Client]:
    """Run the console script, with nothing of this process's environment that names modules."""
    ports = reserve_port(), reserve_port()
    flags = ("--models", models, "--http-port", str(ports[0]), "--grpc-port", str(ports[1]))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    with (models.parent / "log").open("w+") as log:
        process = subprocess.Popen(
            [environment / "bin/model-server", *flags], cwd=cwd, env=kept, stdout=log, stderr=log
        )
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{ports[0]}") as client:
                until("readiness", lambda: is_ready(client) or process.poll() is not None)
                assert process.poll() is None, Path(log.name).read_text()
                yield client
            process.send_signal(signal.SIGTERM)
            assert process.wait(DEADLINE_S) == 0
        finally:
            process.kill()
            process.wait()


def is_ready(client: httpx.Client) -> bool:
    with suppress(httpx.TransportError):
        return client.get("/v2/health/ready").is_success
    return False


def test_it_holds_the_server_alone(wheel: Path) -> None:
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}

    expected = [*(ROOT / PACKAGE).rglob("*.py"), ROOT / PACKAGE / "py.typed"]
    assert held == {str(path.relative_to(ROOT)) for path in expected}


def test_it_offers_what_it_has_a_use_for(wheel: Path) -> None:
    [told] = metadata.distributions(path=[str(wheel)])

    assert told.metadata["Name"] == "sklearn-model-server"
    extras = ["sklearn", "pack", "catboost", "lightgbm", "xgboost", "docs"]
    assert told.metadata.get_all("Provides-Extra") == extras
    assert told.metadata["License-Expression"] == "Apache-2.0"
    assert [(one.name, one.value) for one in told.entry_points] == [
        ("model-server", "model_server.__main__:main")
    ]
    assert "Apache License" in str(told.read_text("licenses/LICENSE"))


def test_every_requirement_has_both_bounds(wheel: Path) -> None:
    [told] = metadata.distributions(path=[str(wheel)])

    unbounded = [one for one in told.requires or [] if not (">=" in one and "<" in one)]
    assert unbounded == []


def test_it_serves_from_an_empty_folder(installed: Path, two_models: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "empty"
    elsewhere.mkdir()

    with serving(installed, two_models, elsewhere) as client:
        answers = [
            client.post(f"/v1/models/{model}:predict", json={"instances": [[6]]}).json()
            for model in MODELS
        ]

    assert answers == [{"predictions": [pytest.approx(15.0)]}] * len(MODELS)
    assert list(elsewhere.iterdir()) == []


def test_it_packs_with_its_extra(installed: Path, wheel: Path, tmp_path: Path) -> None:
    estimator = LinearRegression().fit(np.arange(30.0).reshape(-1, 1), np.arange(30.0) * 2.5)
    joblib.dump(estimator, tmp_path / "line.joblib")
    (tmp_path / "rows.csv").write_text("x\n1\n2\n3.5\n")
    out = tmp_path / "models/line"
    given = ["pack", "line.joblib", "--sample", "rows.csv", "--out", str(out)]
    command = [str(installed / "bin/model-server"), *given]

    without = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    uv(installed, "pip", "install", f"{wheel}[pack]", "--constraint", ROOT / "requirements/run.txt")
    subprocess.run(command, cwd=tmp_path, check=True)
    with serving(installed, out.parent, tmp_path) as client:
        answer = client.post("/v1/models/line:predict", json={"instances": [[6]]}).json()

    assert without.returncode == 1
    assert without.stderr == "error: pack needs onnx: pip install 'sklearn-model-server[pack]'\n"
    assert answer == {"predictions": [pytest.approx(15.0)]}
