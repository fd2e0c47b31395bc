"""A training job of SageMaker, as a process on the folder that the platform makes."""

import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness.processes import DEADLINE_S, until
from model_server.model import directory as model_directory
from model_server.model import loading
from tests.training import samples
from tests.training.conftest import Run
from tests.training.jobs import Job
from training import boston
from training.sagemaker.metric_definitions import DEFINITIONS

pytestmark = pytest.mark.slow

FLATS = samples.text(samples.table(), "shape", "area", "age", "price")
QUICK = {"target": "price", "features": "area", "candidates": "linear"}


def job(root: Path, **hyperparameters: str) -> Job:
    """Make a job with one file of flats in its training channel."""
    made = Job(root)
    made.put("training/flats.csv", FLATS)
    made.hyperparameters(**(hyperparameters or QUICK))
    return made


def content(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def metrics(output: str) -> dict[str, float]:
    """Match the output with the metric definitions, as the platform does."""
    found = {}
    for definition in DEFINITIONS:
        matches = [re.search(definition["Regex"], line) for line in output.splitlines()]
        values = [float(match[1]) for match in matches if match]
        assert len(values) < 2, definition
        if values:
            [found[definition["Name"]]] = values
    return found


@pytest.fixture(scope="module")
def rooms(tmp_path_factory: pytest.TempPathFactory) -> tuple[Job, str]:
    """A job without settings on the built-in data, in two files, and what it printed."""
    made = Job(tmp_path_factory.mktemp("rooms"))
    header, *rows = boston.DATA.read_text().splitlines()
    made.put("training/1.csv", "\n".join([header, *rows[:200]]))
    turned = [",".join(reversed(row.split(","))) for row in (header, *rows[200:])]
    made.put("training/2.csv", "\n".join(turned))
    made.put("validation/rows.csv", "\n".join([header, *rows[:100]]))
    (made.model / "other").mkdir(parents=True)
    (made.model / "other" / "file").write_text("mine")
    done = made.run()
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return made, done.stdout


def test_with_no_settings_it_is_the_built_in_model(rooms: tuple[Job, str], models: Path) -> None:
    assert content(rooms[0].model / "rooms") == content(models / "rooms")
    assert not rooms[0].failure.exists()


def test_what_else_is_in_the_model_folder_stays(rooms: tuple[Job, str]) -> None:
    made, _ = rooms
    assert sorted(path.name for path in made.model.iterdir()) == ["other", "rooms"]
    assert (made.model / "other" / "file").read_text() == "mine"


def test_metric_definitions_match_what_is_printed(rooms: tuple[Job, str]) -> None:
    made, output = rooms
    found = metrics(output)
    read = model_directory.read(made.model / "rooms")
    for name, metric in read.manifest.metrics.items():
        assert found.pop(f"cross-validated:{name}") == pytest.approx(metric.mean, rel=1e-5)
    [(dataset, _), _] = boston.models()
    off = dataset.y[:100] - loading.load(read).predict(dataset.X[:100])
    assert found.pop("validation:mae") == pytest.approx(abs(off).mean(), rel=1e-5)
    assert found.pop("validation:rmse") == pytest.approx((off**2).mean() ** 0.5, rel=1e-5)
    assert 0 < found.pop("validation:r2") < 1
    assert not found


def test_progress_is_a_line_for_each_step(rooms: tuple[Job, str]) -> None:
    lines = rooms[1].splitlines()
    assert lines[:2] == ["rooms: comparing: Linear", "rooms: comparing: Polynomial"]
    assert lines[-1] == f"written: {rooms[0].model / 'rooms'}"


def test_settings_make_the_same_bytes_as_on_the_command_line(run: Run, tmp_path: Path) -> None:
    chosen = {
        "target": "price",
        "features": "area,shape",
        "name": "flats",
        "seed": "3",
        "candidates": "linear,forest,boosting",
        "n_estimators": "9",
        "max_depth": "3",
        "learning_rate": "0.3",
    }
    made = job(tmp_path, **chosen)
    data = made.root / "input/data/training/flats.csv"
    flags = [f"--{name.replace('_', '-')}={text}" for name, text in chosen.items()]
    with ThreadPoolExecutor() as threads:
        one = threads.submit(made.run)
        other = threads.submit(run, "--data", data, "--out", tmp_path / "out", *flags)
    assert (one.result().returncode, one.result().stderr) == (0, "")
    assert (other.result().returncode, other.result().stderr) == (0, "")
    assert content(made.model / "flats") == content(tmp_path / "out" / "flats")
    assert not metrics(one.result().stdout).keys() & {"validation:rmse", "validation:mae"}


def test_classes_are_scored_though_the_validation_lacks_one(tmp_path: Path) -> None:
    cells = samples.table()
    made = job(tmp_path, target="stars", task="classification", candidates="logistic")
    made.put("training/flats.csv", samples.text(cells, "area", "stars"))
    some = [row for row, stars in enumerate(cells["stars"]) if stars != "1"]
    held = {name: [cells[name][row] for row in some] for name in ("area", "stars")}
    made.put("validation/flats.csv", samples.text(held))
    done = made.run()
    assert (done.returncode, done.stderr) == (0, "")
    found = metrics(done.stdout)
    for name in ("accuracy", "balanced_accuracy", "f1", "log_loss"):
        assert f"cross-validated:{name}" in found
        assert f"validation:{name}" in found
    assert found["validation:accuracy"] > 0.6


@pytest.mark.needs("unshare")
@pytest.mark.parametrize("home", ["--unset=HOME", "HOME=/nowhere"])
def test_a_user_whom_nobody_knows(tmp_path: Path, home: str) -> None:
    made = job(tmp_path)
    command = ["unshare", "--user", "--map-user=12345", "env", home]
    if subprocess.run([*command, "true"], capture_output=True, check=False).returncode:
        pytest.skip("SKIPPED FOR WANT OF USER NAMESPACES")
    closed = ["sh", "-c", 'exec "$@" <&-', "sh"]
    done = made.run(*command, *closed)
    assert (done.returncode, done.stderr) == (0, "")
    model_directory.read(made.model / "model")


def test_a_channel_that_is_not_read_is_told(tmp_path: Path) -> None:
    made = job(tmp_path)
    made.config("inputdataconfig", {"training": {}, "code": {}})
    assert made.run().stdout.startswith("channel 'code' is not read\nmodel: comparing: Linear\n")


def failed(made: Job, status: int, *before: str) -> str:
    """Train, and return the reason, which stands in the log as well."""
    done = made.run(*before)
    reason = made.failure.read_text()
    assert done.returncode == status, done.stderr
    assert re.fullmatch(r"[^\n]+\n", reason)
    assert done.stderr.endswith(f"error: {reason}")
    assert status != 2 or done.stderr == f"error: {reason}"
    return reason.rstrip("\n")


def test_wrong_input_is_told_in_the_failure_file(tmp_path: Path) -> None:
    made = job(tmp_path, target="price", n_estimators="0")
    assert failed(made, 2).startswith("n_estimators: '0' is not a whole number from 1 to 5000; ")
    assert not made.model.exists()


def test_candidates_that_can_not_be_chosen_are_told(tmp_path: Path) -> None:
    made = job(tmp_path)
    made.put("training/flats.csv", boston.DATA.read_text())
    made.hyperparameters(candidates="linear,boosting")
    assert failed(made, 2) == (
        "candidates: none of linear, boosting can be kept from falling as RM rises; add forest"
    )


def test_a_model_folder_that_is_none_is_told(tmp_path: Path) -> None:
    made = job(tmp_path)
    made.model.write_text("")
    assert failed(made, 2) == (
        f"{made.model}/model: can't be written (File exists); "
        "give the job a larger volume, or the folder to the user that the container runs as"
    )


def test_a_failure_file_that_can_not_be_written_is_told(tmp_path: Path) -> None:
    made = job(tmp_path, target="rent")
    made.failure.parent.write_text("")
    done = made.run()
    assert done.returncode == 2
    assert done.stderr.splitlines()[1:] == [
        f"error: {made.failure}: can't be written (File exists)"
    ]


def test_what_nobody_expected_is_told_with_its_trace_in_the_log(tmp_path: Path) -> None:
    code = (
        "import sys; from training.sagemaker import __main__, training_job; "
        "training_job.read = lambda root: {}['lost']; "
        f"sys.exit(__main__.main(['--root', {str(tmp_path)!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert (tmp_path / "output" / "failure").read_text() == "KeyError: 'lost'\n"
    assert done.stderr.startswith("Traceback")
    assert done.stderr.endswith("error: KeyError: 'lost'\n")


def listening(process: subprocess.Popen[str]) -> bool:
    """Tell whether a process has a handler for SIGTERM."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    caught = re.search(r"^SigCgt:\s*(\w+)$", status, re.MULTILINE)
    assert caught is not None, status
    return bool(int(caught[1], 16) >> (signal.SIGTERM - 1) & 1)


def stop(made: Job, moment: str) -> tuple[int, str]:
    """Train, send SIGTERM when a line with `moment` is printed, and return how it ended."""
    with made.start() as process:
        try:
            if moment:
                assert process.stdout is not None
                assert any(moment in line for line in process.stdout)
            else:
                until("a handler for SIGTERM", lambda: listening(process))
            process.send_signal(signal.SIGTERM)
            _, log = process.communicate(timeout=DEADLINE_S)
        finally:
            process.kill()
    return process.returncode, log


MOMENTS = (
    "",
    "comparing: Random forest",
    "converting to ONNX",
    "writing the report",
    "cross-validated r2",
    "written",
)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="there is no /proc")
def test_a_stop_leaves_a_whole_model_or_the_reason(tmp_path: Path) -> None:
    chosen = {**QUICK, "candidates": "linear,forest", "n_estimators": "30"}
    jobs = [job(tmp_path / str(number), **chosen) for number in range(len(MOMENTS))]
    with ThreadPoolExecutor(2) as threads:
        ended = dict(zip(MOMENTS, threads.map(stop, jobs, MOMENTS), strict=True))
    stopped = (
        "stopped by SIGTERM before a model was finished; "
        "allow the job more time (MaxRuntimeInSeconds)\n"
    )
    for made, (moment, (status, log)) in zip(jobs, ended.items(), strict=True):
        if status == 0:
            assert model_directory.read(made.model / "model").manifest.name == "model", moment
            assert [path.name for path in made.model.iterdir()] == ["model"], moment
            assert (made.failure.exists(), log) == (False, ""), moment
        else:
            assert made.failure.read_text() == stopped, moment
            assert status == 1, moment
            assert log.endswith(f"error: {stopped}"), (moment, log)
            assert not made.model.exists() or not [*made.model.iterdir()], moment
    assert [status for status, _ in ended.values()][:4] == [1] * 4
    assert ended["written"][0] == 0


SWALLOWING = {
    "finalizer": """
class Finalized:
    def __del__(self):
        stop()
        print("lost")

Finalized()
""",
    "handler": """
try:
    stop()
except Exception:
    print("lost")
""",
}
STOPPED_TWICE = """
import os, signal
from training.errors import Stopped
from training.sagemaker.stop_signal import stoppable

def stop():
    os.kill(os.getpid(), signal.SIGTERM)

try:
    with stoppable() as check:
        exec({code!r})
        stop()
        check()
        print("went on")
except Stopped:
    stop()
    print("stopped")
"""


@pytest.mark.parametrize("name", SWALLOWING)
def test_a_stop_is_not_lost_on_its_way(name: str) -> None:
    code = STOPPED_TWICE.format(code=SWALLOWING[name])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "stopped\n"), done.stderr


def test_importing_it_is_cheap() -> None:
    code = "import sys, training.sagemaker.__main__; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"numpy", "pydantic", "rich", "sklearn"} & set(done.stdout.split())
