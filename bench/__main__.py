"""``python -m bench``: measure this server beside stock KServe and the ceiling."""

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from bench import models
from bench.errors import BenchError
from bench.report import report
from bench.rounds import PLAN, Bench
from harness import machine, table
from model_server.errors import ModelServerError

_SECONDS, _WARM_UP_SECONDS = 6, 3
_QUICK_SECONDS, _QUICK_WARM_UP_SECONDS = 1, 0


def main() -> int:
    """Run the rounds and print the tables; return the exit status."""
    arguments = _parser().parse_args()
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        run(arguments.rounds, arguments.models, quick=arguments.quick, out=arguments.out)
    except (BenchError, ModelServerError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; its servers are ended", file=sys.stderr)
        return 130
    return 0


def run(rounds: int, titles: Sequence[str], *, quick: bool, out: Path | None) -> None:
    """Fit the models, run the rounds, print the report and write it to `out`."""
    if out is not None:
        out.open("a").close()  # a mistake is told before the wait
    seconds = _QUICK_SECONDS if quick else _SECONDS
    warm_up = _QUICK_WARM_UP_SECONDS if quick else _WARM_UP_SECONDS
    began = time.monotonic()
    others = machine.Others()

    def tell(*parts: str) -> None:
        minutes, rest = divmod(int(time.monotonic() - began), 60)
        print(f"{minutes:2}:{rest:02}  {': '.join(parts)}", file=sys.stderr, flush=True)

    minutes = _minutes(rounds, seconds, warm_up, titles)
    tell(f"{minutes} min or so, on a machine that does nothing else")
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        bench = Bench(folder, seconds, warm_up, titles)
        tell("fitting the models")
        fitted = models.fit(folder, titles)
        measured = [
            bench.round(fitted, partial(tell, f"round {number} of {rounds}"))
            for number in range(1, rounds + 1)
        ]
    told = report(measured, seconds, others.share())
    print(told, end="")
    if out is not None:
        page = out.read_text(encoding="utf-8")
        out.write_text(table.place(told, page), encoding="utf-8")


def _minutes(rounds: int, seconds: int, warm_up: int, titles: Sequence[str]) -> int:
    start = 4
    loads = [loads for title, _, loads in PLAN if not titles or title in titles]
    total = rounds * sum(start + warm_up + seconds * len(each) for each in loads)
    return max(1, round(total / 60))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measure this server beside stock KServe and the ceiling, on this machine. "
        "The exit status is 0 whether marks hold or not.",
    )
    parser.add_argument("--quick", action="store_true", help="a second a load, to see that it runs")
    parser.add_argument(
        "--models",
        nargs="+",
        choices=sorted({title for title, *_ in PLAN}),
        default=(),
        metavar="TITLE",
        help="those to measure, by their titles in the report (default: all)",
    )
    parser.add_argument(
        "--rounds", type=_positive, default=3, metavar="N", help="rounds to run (default: 3)"
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="write the tables there, too: in place of those in the page, or of the whole file",
    )
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


if __name__ == "__main__":
    sys.exit(main())
