"""Graphs that were changed and signed again, so that no digest tells.

They are loaded in a process of their own: ONNX Runtime may end it.
"""

import collections
import dataclasses
import multiprocessing
import os
import random
import resource
import signal
from multiprocessing.connection import Connection
from pathlib import Path

from soak.damage.verdict import Judge

_MEMORY_BYTES = 8 * 1024**3
_TIMEOUT_S = 60

Flip = tuple[int, int]
"""A place, and the bits that are turned over there."""


def count(directory: Path, flips: int, rng: random.Random) -> collections.Counter[str]:
    """Load so many changed graphs of a sound directory; count what became of them."""
    size = len(Judge(directory).sound.model)
    left = [(rng.randrange(size), rng.randrange(1, 256)) for _ in range(flips)]
    seen: collections.Counter[str] = collections.Counter()
    while left:
        verdicts, status = _load_in_a_process(directory, left)
        seen.update(verdicts)
        left = left[len(verdicts) :]
        if left:
            seen[f"ending the process with status {status}"] += 1
            del left[0]
    return seen


def _load_in_a_process(directory: Path, flips: list[Flip]) -> tuple[list[str], int]:
    """Return the verdicts until the process ended, and its status."""
    spawning = multiprocessing.get_context("spawn")
    receiving, sending = spawning.Pipe(duplex=False)
    process = spawning.Process(target=_load, args=(directory, flips, sending))
    process.start()
    sending.close()
    verdicts = []
    try:
        while True:
            verdicts.append(receiving.recv())
    except EOFError:
        process.join()
    return verdicts, process.exitcode or 0


def _load(directory: Path, flips: list[Flip], sending: Connection) -> None:
    for stream in (1, 2):  # ONNX Runtime tells of each
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    judge = Judge(directory)
    for place, bits in flips:
        signal.alarm(_TIMEOUT_S)
        model = bytearray(judge.sound.model)
        model[place] ^= bits
        sending.send(judge.load(dataclasses.replace(judge.sound, model=bytes(model))))
