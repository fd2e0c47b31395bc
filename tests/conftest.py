"""Fixtures of every test: a clean environment, the trained models, a server on free ports.

A test that needs a missing program is skipped with a line that names it; with ``REQUIRE_ALL=1`` a
skip is a failure. ``--fast`` runs those alone that start no process and train no built-in model.
``-n 2`` waits for the cluster and passes the other tests at the same time.
"""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from xdist.scheduler import LoadScopeScheduling

from harness.processes import ROOT, ServerProcess

REQUIRE_ALL = os.environ.get("REQUIRE_ALL") == "1"

_STARTING = {"application_image", "models", "run", "server_image"}
"""Fixtures that start processes; so do tests with the mark ``slow`` or ``needs``."""

_LISTING_FONTS = "fc-list"
"""What matplotlib starts once on a new machine."""

_CONTAINERS = "containers"
"""The group of tests that takes longest, mostly waiting."""

_FIRST = (_CONTAINERS, "tests/soak", "tests/training")
"""What takes longest begins first, or one process would be at it when the others have ended."""

_OF_MAKE = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")
"""What `make test` tells the makes below it: a test that starts make starts one of its own."""


hypothesis.settings.register_profile("soak", max_examples=20_000)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fast", action="store_true", help="only tests that start no process")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--fast"):
        sys.addaudithook(_start_nothing)


def _start_nothing(event: str, arguments: tuple[object, ...]) -> None:
    if event == "subprocess.Popen" and arguments[0] != _LISTING_FONTS:
        raise RuntimeError(f"a fast test starts {arguments[0]}: mark it with pytest.mark.slow")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--fast"):
        starting = [item for item in items if _starts(item)]
        config.hook.pytest_deselected(items=starting)
        items[:] = [item for item in items if item not in starting]
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: _turn(_together(item.nodeid)))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    return _Scheduling(config, log)


class _Scheduling(LoadScopeScheduling):  # type: ignore[misc]
    def _split_scope(self, nodeid: str) -> str:
        return _together(nodeid)


def _together(nodeid: str) -> str:
    """Return what runs one after the other: all tests of the engine and the cluster, or a file."""
    file = nodeid.partition("::")[0]
    return _CONTAINERS if file.split("/")[1] in ("image", "kind", "sagemaker") else file


def _turn(group: str) -> int:
    return next((turn for turn, first in enumerate(_FIRST) if group.startswith(first)), len(_FIRST))


def _starts(item: pytest.Item) -> bool:
    fixtures = _STARTING & set(getattr(item, "fixturenames", ()))
    return bool(fixtures) or any(item.get_closest_marker(mark) for mark in ("needs", "slow"))


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in os.environ:
        if variable.startswith("MODEL_SERVER_") or variable in _OF_MAKE:
            monkeypatch.delenv(variable)


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train the built-in models once; tests that change files copy the folder."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    out = folder / "trained"
    with (folder / "training").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not out.exists():
            command = [sys.executable, "-W", "error", "-m", "training", "--out", str(out)]
            subprocess.run(command, check=True)
    return out


@pytest.fixture(scope="session")
def server(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Serve the built-in models; for tests that change nothing."""
    with ServerProcess(models, log=tmp_path_factory.mktemp("server") / "log") as process:
        yield process


@pytest.fixture(scope="session")
def server_image() -> str:
    """Build the server's image."""
    return _build("model-server:test")


@pytest.fixture(scope="session")
def sagemaker_image() -> str:
    """Build the image for Amazon SageMaker."""
    return _build("model-server-sagemaker:test", "--target", "sagemaker")


@pytest.fixture(scope="session")
def application_image() -> str:
    """Build the application's image."""
    return _build("model-server-application:test", "--target", "application")


def _build(name: str, *flags: str) -> str:
    subprocess.run(["docker", "build", "--quiet", "--tag", name, *flags, str(ROOT)], check=True)
    return name


@pytest.fixture
def own_models(models: Path, tmp_path: Path) -> Path:
    """Copy the trained models, to be changed."""
    return Path(shutil.copytree(models, tmp_path / "models"))


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("needs"):
        for program in marker.args:
            if shutil.which(program) is None:
                pytest.skip(f"SKIPPED FOR WANT OF A PROGRAM: {program} is not installed")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if REQUIRE_ALL and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid}: skipped, and REQUIRE_ALL=1: {report.longreprtext}"
    return report
