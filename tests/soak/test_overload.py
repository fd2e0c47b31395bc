"""More requests than a server can answer, in short."""

from pathlib import Path

from soak import overload


def test_every_request_is_answered(models: Path, tmp_path: Path) -> None:
    outcome = overload.run(
        models, tmp_path, seconds=4, capacity_seconds=1, connections=100, judge_timings=False
    )
    assert outcome.held, outcome.seen
