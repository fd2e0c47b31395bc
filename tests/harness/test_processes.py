"""Processes that do not come to serve."""

from pathlib import Path

import pytest

from harness.processes import Process, ServerProcess, StartError


@pytest.mark.slow
def test_a_server_that_ends_at_its_start_is_told_with_its_log(tmp_path: Path) -> None:
    with (
        pytest.raises(StartError, match=r"^ended at its start with status 1:\n.*holds no model"),
        ServerProcess(tmp_path, log=tmp_path / "log"),
    ):
        pass


def test_settings_of_ours_are_not_its(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODEL_SERVER_NONE", "1")
    monkeypatch.setenv("APPLICATION_NONE", "1")
    process = Process("os", log=tmp_path / "log", environment={"MODEL_SERVER_MODELS": "/"})
    told = {name: text for name, text in process.environment.items() if "_NONE" in name}
    assert told == {}
    assert process.environment["MODEL_SERVER_MODELS"] == "/"
