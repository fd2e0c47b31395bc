from pathlib import Path

from soak import fuzzing


def test_hostile_input_is_refused(models: Path, tmp_path: Path) -> None:
    outcome = fuzzing.run(models, tmp_path, inputs=1_500, examples=1)
    assert outcome.held, outcome.seen
