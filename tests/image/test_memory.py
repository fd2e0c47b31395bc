"""The worst bodies at the chart's own limit, in short."""

from pathlib import Path

import pytest

from soak import memory

pytestmark = pytest.mark.needs("docker")

WORST = (
    *("JSON: [6]", "CSV: 6", "CSV: as many rows as may be", "CSV: nobody reads the answers"),
    *("v2: 300", "v2: []", "v2: inputs are {}"),
    *("gRPC: bytes of FP64", "gRPC: integers of a byte", "gRPC: empty inputs"),
)


def test_the_container_is_never_killed(server_image: str, tmp_path: Path) -> None:
    outcome = memory.run(tmp_path, tmp_path, seconds=2, names=WORST, image=server_image)
    assert outcome.held, outcome.seen
