"""System calls and allocations that fail, fifty of each kind, and a few while a server starts."""

from pathlib import Path

import pytest

from soak import faults


@pytest.mark.needs("cc")
def test_a_fault_of_the_system_is_answered_or_told(models: Path, tmp_path: Path) -> None:
    outcome = faults.run(models, tmp_path, numbers=range(1, 51), start_numbers=(200,), stops=1)
    assert outcome.held, outcome.seen
    assert "50 read" in outcome.seen
