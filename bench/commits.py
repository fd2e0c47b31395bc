"""``python -m bench.commits BEFORE``: this checkout beside an earlier commit of it, in one run.

Both servers run at the same time, on one CPU, the load on another; only one is asked at a time, in
turns, so that what slows the machine slows both. A ratio is the median of those of the rounds.
"""

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.wrk import Load, Request, Wrk
from harness.ports import HOST
from harness.processes import ROOT

JSON, CSV = "application/json", "text/csv"
ROW = b'{"instances": [[6.5]]}'
V2 = b'{"inputs":[{"name":"input-0","shape":[1,1],"datatype":"FP64","data":[6.5]}]}'
THOUSAND = b'{"instances": [' + b",".join([b"[6.5]"] * 1000) + b"]}"
CASES = (
    ("v1 JSON, a row, 1 connection", "/v1/models/rooms:predict", ROW, JSON, 1),
    ("v1 JSON, a row, 32 connections", "/v1/models/rooms:predict", ROW, JSON, 32),
    ("v1 CSV, a row, 32 connections", "/v1/models/rooms:predict", b"6.5\n", CSV, 32),
    ("v1 JSON, 1000 rows, 4 connections", "/v1/models/rooms:predict", THOUSAND, JSON, 4),
    ("v2 JSON, a row, 32 connections", "/v2/models/rooms/infer", V2, JSON, 32),
)


def main() -> int:
    """Measure, print a row a case, and return 1 where a ratio is below the least."""
    parser = argparse.ArgumentParser(prog="python -m bench.commits", description=__doc__)
    parser.add_argument("before", help="an earlier commit")
    parser.add_argument("--rounds", type=int, default=7, help="default: %(default)s")
    parser.add_argument("--seconds", type=int, default=3, help="of each load (%(default)s)")
    parser.add_argument("--least", type=float, default=0.97, help="ratio (%(default)s)")
    chosen = parser.parse_args()
    server_cpu, load_cpu = sorted(os.sched_getaffinity(0))[:2]
    os.sched_setaffinity(0, {load_cpu})
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        earlier = stack.enter_context(checkout(chosen.before, folder / "before"))
        urls = [
            stack.enter_context(_served(place, server_cpu, folder / f"{name}.log"))
            for name, place in (("before", earlier), ("after", ROOT))
        ]
        wrk = Wrk(folder)
        print("| case | before, 1/s | after, 1/s | ratio | p99 ratio |\n|-|-|-|-|-|")
        worst = min(_compare(wrk, urls, case, chosen.rounds, chosen.seconds) for case in CASES)
    return int(worst < chosen.least)


def _compare(
    wrk: Wrk, urls: list[str], case: tuple[str, str, bytes, str, int], rounds: int, seconds: int
) -> float:
    name, path, body, media_type, connections = case
    loads: tuple[list[Load], list[Load]] = ([], [])
    for turn in range(rounds):
        for which in (0, 1) if turn % 2 else (1, 0):
            request = Request(urls[which] + path, body, media_type)
            loads[which].append(wrk.run(request, connections, seconds))
    pairs = list(zip(*loads, strict=True))
    ratio = statistics.median(
        after.requests_per_s / before.requests_per_s for before, after in pairs
    )
    p99 = statistics.median(after.p99_ms / before.p99_ms for before, after in pairs)
    rates = [statistics.median(load.requests_per_s for load in side) for side in loads]
    print(f"| {name} | {rates[0]:,.0f} | {rates[1]:,.0f} | {ratio:.3f} | {p99:.2f} |", flush=True)
    return ratio


@contextlib.contextmanager
def checkout(commit: str, place: Path) -> Iterator[Path]:
    """Check an earlier commit out; yield where that is."""
    git = ["git", "-C", str(ROOT), "worktree"]
    subprocess.run([*git, "add", "--quiet", "--detach", str(place), commit], check=True)
    try:
        yield place
    finally:
        subprocess.run([*git, "remove", "--force", str(place)], check=True)


@contextlib.contextmanager
def _served(checkout: Path, cpu: int, log: Path) -> Iterator[str]:
    """Start the server of a checkout on the models of this one; yield its address."""
    command = [sys.executable, "-m", "model_server", "--models", str(ROOT / "models")]
    with (
        log.open("wb") as stream,
        subprocess.Popen(
            [*command, "--http-port=0", "--no-grpc", "--print-example", "--queue-limit-ms=60000"],
            cwd=checkout,
            env={**os.environ, "PYTHONPATH": str(checkout)},
            stdout=subprocess.PIPE,
            stderr=stream,
            text=True,
        ) as process,
    ):
        os.sched_setaffinity(process.pid, {cpu})
        try:
            told = next(line for line in process.stdout or () if line.startswith("curl "))
            port = told.split("/v1/")[0].rpartition(":")[2]
            yield f"http://{HOST}:{port}"
        finally:
            process.terminate()


if __name__ == "__main__":
    sys.exit(main())
