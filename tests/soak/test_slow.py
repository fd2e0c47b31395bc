"""Clients that send a byte a second, in short."""

from pathlib import Path

from soak import slow


def test_slow_clients_are_cut_off_and_others_served(models: Path, tmp_path: Path) -> None:
    outcome = slow.run(
        models,
        tmp_path,
        connections=100,
        seconds=2,
        rate=50,
        header_timeout_s=2,
        body_timeout_s=4,
        judge_timings=False,
    )
    assert outcome.held, outcome.seen
