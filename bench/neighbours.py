"""``python -m bench.neighbours``: a fast model alone, and beside one that is kept busy.

The server has one CPU, wrk another. A client of the slow model, a forest without its graph, asks
again as soon as it is answered, so that its worker never rests. A ratio is the median of those of
the rounds.
"""

import argparse
import contextlib
import os
import statistics
import sys
import tempfile
from pathlib import Path

from bench import models
from bench.cpus import pinned, usable
from bench.models import FOREST, JSON, LINEAR, Model
from bench.wrk import Load, Request, Wrk
from harness import table
from harness.processes import ServerProcess
from model_server.model import directory as model_directory

_LEAST_RATE, _MOST_P99 = 0.8, 2.0
_SLOW_S = 3600
_HEADER = ("fast model", "", "alone", "beside", "ratio", "mark")


def main() -> int:
    """Measure, print the table, and return 1 where a mark does not hold."""
    parser = argparse.ArgumentParser(prog="python -m bench.neighbours", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    parser.add_argument("--seconds", type=int, default=4, help="of each load (%(default)s)")
    parser.add_argument("--out", type=Path, help="a page that has a place for the table")
    chosen = parser.parse_args()
    server_cpu, *_, load_cpu = usable()
    os.sched_setaffinity(0, {load_cpu})
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        fitted = models.fit(folder / "fitted", (FOREST, LINEAR))
        served = _served(fitted, folder / "served")
        server = ServerProcess(served, log=folder / "log")
        with pinned(server_cpu):
            stack.enter_context(server)
        wrk = Wrk(folder)
        slow = _request(server, fitted[FOREST], "forest")
        rows, held = [], True
        for title, name, connections in (
            ("a graph, 32 connections", "graph", 32),
            ("an estimator, 8 connections", "estimator", 8),
        ):
            fast = _request(server, fitted[LINEAR], name)
            pairs = [
                _pair(wrk, fast, slow, connections, chosen.seconds) for _ in range(chosen.rounds)
            ]
            for row, holds in _rows(title, pairs):
                rows.append(row)
                held = held and holds
    told = "\n".join([*table.aligned(_HEADER, rows, numbers=slice(2, 5)), ""])
    print(told, end="")
    if chosen.out is not None:
        page = chosen.out.read_text(encoding="utf-8")
        chosen.out.write_text(table.place(told, page, "neighbours"), encoding="utf-8")
    return int(not held)


def _served(fitted: dict[str, Model], folder: Path) -> Path:
    """Lay out the models that are served: a graph, and two without theirs."""
    for title, name, graph in (
        (LINEAR, "graph", True),
        (LINEAR, "estimator", False),
        (FOREST, "forest", False),
    ):
        read = model_directory.read(fitted[title].directory)
        files = {
            path.name: path.read_bytes()
            for path in fitted[title].directory.iterdir()
            if path.name in read.manifest.files and (graph or path.name != model_directory.ONNX)
        }
        manifest = read.manifest.model_copy(update={"name": name})
        model_directory.write(folder / name, manifest, files)
    return folder


def _request(server: ServerProcess, model: Model, name: str) -> Request:
    return Request(f"{server.url}/v1/models/{name}:predict", model.body(1, JSON), JSON)


def _pair(
    wrk: Wrk, fast: Request, slow: Request, connections: int, seconds: int
) -> tuple[Load, Load]:
    alone = wrk.run(fast, connections, seconds)
    with wrk.beside(slow, _SLOW_S):
        return alone, wrk.run(fast, connections, seconds)


def _rows(title: str, pairs: list[tuple[Load, Load]]) -> list[tuple[list[str], bool]]:
    rates = [[load.requests_per_s for load in side] for side in zip(*pairs, strict=True)]
    p99s = [[load.p99_ms for load in side] for side in zip(*pairs, strict=True)]
    rate = statistics.median(beside / alone for alone, beside in zip(*rates, strict=True))
    p99 = statistics.median(beside / alone for alone, beside in zip(*p99s, strict=True))
    told = []
    for figure, sides, ratio, holds, mark in (
        ("requests/s", rates, rate, rate >= _LEAST_RATE, f"at least {_LEAST_RATE}"),
        ("p99 [ms]", p99s, p99, p99 <= _MOST_P99, f"at most {_MOST_P99}"),
    ):
        figures = table.figures(*(statistics.median(side) for side in sides), ratio)
        row = [title, figure, *figures, f"{mark}: {'holds' if holds else 'does not hold'}"]
        told.append((row, holds))
    return told


if __name__ == "__main__":
    sys.exit(main())
