"""The scenarios of few arguments, in short."""

import importlib
from pathlib import Path
from typing import Any

import pytest

SHORT: dict[str, dict[str, Any]] = {
    "beside": {"seconds": 0.5, "length_bytes": 200_000, "judge_timings": False},
    "credentials": {"requests": 100, "pairs": 1},
    "directories": {"urls": 50},
    "farewell": {"stops": 2, "lanes": 1},
    "mute": {"requests": 300, "judge_timings": False},
    "protocol": {"exchanges": 150},
    "resets": {"connections": 500},
    "siege": {"requests": 20, "times": 0.2},
}


@pytest.mark.parametrize("name", SHORT)
def test_it_holds(models: Path, tmp_path: Path, name: str) -> None:
    outcome = importlib.import_module(f"soak.{name}").run(models, tmp_path, **SHORT[name])
    assert outcome.held, outcome.seen
