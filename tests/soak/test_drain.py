"""Servers that are stopped under load, in short."""

from pathlib import Path

from soak import drain


def test_no_request_is_lost(models: Path, tmp_path: Path) -> None:
    outcome = drain.run(models, tmp_path, signals=3, lanes=1)
    assert outcome.held, outcome.seen
