"""How much memory there is, by the files of the system."""

import subprocess
import sys
from pathlib import Path

import pytest

from model_server import memory

FAMILY = """
import os, sys
shared = b"x" * 100_000_000
for _ in range(2):
    if os.fork() == 0:
        break
os.write(1, b".")
sys.stdin.read()
"""

MACHINE = memory.there_is_bytes(Path("/nowhere"))


@pytest.mark.parametrize(
    ("cgroup", "limits", "expected"),
    [
        ("0::/", {"memory.max": "1000"}, 1000),
        ("0::/", {"memory.max": "max"}, MACHINE),
        ("0::/a/b", {"a/memory.max": "2000", "a/b/memory.max": "3000"}, 2000),
        ("0::/a/b", {"a/memory.max": "max", "a/b/memory.max": "3000"}, 3000),
        ("0::/not/seen/here", {"memory.max": "4000"}, 4000),
        ("4:memory:/docker/1\n0::/", {"memory/memory.limit_in_bytes": "5000"}, 5000),
        ("4:cpu,memory:/x", {"memory/x/memory.limit_in_bytes": "6000"}, 6000),
        ("4:memory:/", {"memory/memory.limit_in_bytes": "9223372036854771712"}, MACHINE),
        ("4:cpu:/", {"memory/memory.limit_in_bytes": "7000"}, MACHINE),
    ],
)
def test_the_limit_is_the_least_of_all_that_hold(
    tmp_path: Path, cgroup: str, limits: dict[str, str], expected: int
) -> None:
    files = {f"sys/fs/cgroup/{path}": f"{limit}\n" for path, limit in limits.items()}
    for path, text in {"proc/self/cgroup": f"{cgroup}\n", **files}.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    assert memory.there_is_bytes(tmp_path) == expected


def test_there_is_always_some_left() -> None:
    assert memory.left_bytes(0) > memory.left_bytes(memory.there_is_bytes()) > 0


@pytest.mark.slow
def test_what_processes_share_is_counted_once() -> None:
    before_bytes = memory.taken_bytes()
    with subprocess.Popen(
        [sys.executable, "-c", FAMILY], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as family:
        assert family.stdout is not None
        assert len(family.stdout.read(3)) == 3
        assert 100e6 < memory.taken_bytes() - before_bytes < 200e6
        family.communicate()
