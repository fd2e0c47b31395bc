"""Model directories with bytes flipped, cut short, or made to do harm when they are unpickled."""

import collections
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from harness.processes import refuse
from model_server.model import directory as model_directory
from soak.damage import bait, forgery
from soak.damage.verdict import REFUSED, RIGHT, Judge
from soak.scenario import Outcome


def run(
    models: Path, folder: Path, *, flips: int = 1000, starts: int = 10, seed: int = 0
) -> Outcome:
    """Damage every file of every model directory, at one place at a time, and try to load it.

    Parameters
    ----------
    models : Path
        Model directories with graphs, among them rooms.
    folder : Path
        Empty.
    flips : int
        For each file, and again for each graph with the digests made to match.
    starts : int
        So many flips are tried on a real server as well.
    seed : int
    """
    rng = random.Random(seed)
    own = Path(shutil.copytree(models, folder / "models"))
    seen: collections.Counter[str] = collections.Counter()
    forged: collections.Counter[str] = collections.Counter()
    for directory in model_directory.find(own):
        judge = Judge(directory)
        for path in sorted(directory.iterdir()):
            seen.update(judge.read() for _ in _flipped(path, flips, rng))
            seen.update(judge.read() for _ in _cut(path))
        forged += forgery.count(directory, flips, rng)
    started = sum(not _refused(own) for _ in _flipped_anywhere(own / "rooms", starts, rng))
    taken = bait.taken(own / "rooms", folder)
    return Outcome(
        asked="a damaged model directory is refused or harmless, and no code of it is run",
        seen=f"{seen.total():,} damages: {_told(seen)}; {started} of {starts} servers started; "
        f"{len(taken)} of 2 baits unpickled; "
        "for the record, graphs with their digests made to match: "
        f"{_told(forged)}",
        held=seen.keys() <= {REFUSED, RIGHT} and not started and not taken,
    )


def _flipped(path: Path, flips: int, rng: random.Random) -> Iterator[None]:
    """Change a byte of a file, at so many places in turn."""
    content = path.read_bytes()
    for _ in range(flips):
        changed = bytearray(content)
        changed[rng.randrange(len(content))] ^= rng.randrange(1, 256)
        path.write_bytes(changed)
        yield
    path.write_bytes(content)


def _flipped_anywhere(directory: Path, flips: int, rng: random.Random) -> Iterator[None]:
    for _ in range(flips):
        yield from _flipped(rng.choice(sorted(directory.iterdir())), 1, rng)


def _cut(path: Path) -> Iterator[None]:
    """Cut a file short at every tenth of its length."""
    content = path.read_bytes()
    for tenth in range(10):
        path.write_bytes(content[: len(content) * tenth // 10])
        yield
    path.write_bytes(content)


def _refused(models: Path) -> bool:
    try:
        refuse(models)
    except (AssertionError, subprocess.TimeoutExpired):
        return False
    return True


def _told(counts: collections.Counter[str]) -> str:
    return ", ".join(f"{count:,} {what}" for what, count in sorted(counts.items()))
