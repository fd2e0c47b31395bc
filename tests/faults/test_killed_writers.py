"""kill -9 while a model directory is replaced: the old one or the new one is there, whole."""

import json
import random
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from harness.processes import ROOT
from model_server.model import directory as model_directory
from tests.training import samples


def kill(directory: Path, *way: str) -> Any:
    command = [sys.executable, "-m", "tests.faults.killing", str(directory), *way]
    return json.loads(subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout)


def test_at_random_moments(own_models: Path) -> None:
    seen = kill(own_models / "rooms", "moments", "100")
    assert seen["versions"] > 10
    assert seen["amid"] > 10
    assert seen["left"] == 0


def test_before_each_line_of_the_writer(own_models: Path) -> None:
    seen = kill(own_models / "rooms", "lines")
    assert seen["missing"] == 0
    assert seen["old"] > 20
    assert seen["new"] > 5
    assert seen["left"] == 0


def test_what_was_moved_away_is_put_back_where_nothing_is_exchanged(own_models: Path) -> None:
    seen = kill(own_models / "rooms", "lines-without-exchange")
    assert seen["missing"] > 0
    assert seen["old"] > 20
    assert seen["new"] > 5
    assert seen["left"] == 0


def test_a_training_run(models: Path, tmp_path: Path) -> None:
    data = tmp_path / "flats.csv"
    data.write_text(samples.text(samples.table(), "area", "price"))
    command = [sys.executable, "-u", "-m", "training", "--data", str(data), "--target", "price"]
    rng = random.Random(0)
    with ExitStack() as stack:
        runs = []
        for number in range(2):
            out = tmp_path / str(number)
            shutil.copytree(models / "rooms", out / "flats")
            run = subprocess.Popen([*command, "--out", str(out)], cwd=ROOT, stdout=subprocess.PIPE)
            stack.enter_context(run)
            stack.callback(run.kill)
            runs.append((run, out))
        for run, out in runs:
            assert run.stdout is not None
            assert any(b"writing the report" in line for line in run.stdout)
            time.sleep(rng.uniform(0, 1))
            run.kill()
            run.wait()
            assert model_directory.read(out / "flats").manifest.name in {"rooms", "flats"}
