"""No code of a model runs before the model is trusted."""

import hashlib
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from harness.processes import DEADLINE_S, ROOT, ServerProcess, refuse
from model_server.model import directory as model_directory
from tests.model_server import slow_model


class Evil:
    """Leave a mark when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self._mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self._mark),)


def without_graph(models: Path, name: str, joblib: bytes | None = None) -> None:
    """Write a model directory again with the estimator only."""
    read = model_directory.read(models / name)
    content = joblib or (models / name / "model.joblib").read_bytes()
    model_directory.write(models / name, read.manifest, {"model.joblib": content})


def test_a_changed_artifact_is_refused_before_it_is_unpickled(
    own_models: Path, tmp_path: Path
) -> None:
    pins = [
        f"--expect-digest={name}=sha256:{model_directory.read(own_models / name).digest}"
        for name in ("rooms", "boston")
    ]
    mark = tmp_path / "mark"
    without_graph(own_models, "rooms", pickle.dumps(Evil(mark)))
    assert "where --expect-digest says" in refuse(own_models, *pins)
    assert not mark.exists()
    command = [sys.executable, "-m", "model_server", "--models", str(own_models)]
    subprocess.run(command, cwd=ROOT, capture_output=True, timeout=DEADLINE_S, check=False)
    assert mark.exists(), "without a digest the pickle does run: the test can fail"


def test_no_pickle_is_refused_before_it_is_unpickled(own_models: Path, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    without_graph(own_models, "rooms", pickle.dumps(Evil(mark)))
    line = refuse(own_models, "--no-pickle")
    assert line == (
        f"{own_models / 'rooms'}: model.joblib: is a pickle, which --no-pickle forbids; "
        "train the model with an estimator that converts to model.onnx"
    )
    assert not mark.exists()


def test_no_pickle_serves_graphs_and_can_skip_the_rest(own_models: Path, tmp_path: Path) -> None:
    slow_model.write(own_models, slow_model.Sleeper())
    flags = ("--no-pickle", "--skip-broken")
    with ServerProcess(own_models, *flags, log=tmp_path / "log") as server:
        good = server.predict("rooms", '{"instances": [[6.5]]}', "application/json")
        assert good.status_code == 200
        assert server.client.get("/v1/models/slow").status_code == 503


@pytest.mark.parametrize("field", ["files", "name"])
def test_a_manifest_names_nothing_outside_its_directory(own_models: Path, field: str) -> None:
    path = own_models / "rooms" / "manifest.json"
    text = path.read_text()
    old, new = ('"model.onnx":', '"../model.onnx":') if field == "files" else ('"rooms"', '"../x"')
    assert old in text
    path.write_text(text.replace(old, new))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    (own_models / "rooms" / "manifest.sha256").write_text(f"{digest}  manifest.json\n")
    assert "is not a manifest of this version" in refuse(own_models)
