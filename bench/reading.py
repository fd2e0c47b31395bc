"""``python -m bench.reading``: what the worst bodies cost the readers, each in a fresh process."""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.commits import checkout
from bench.reading_cases import CASES
from harness import machine, table
from harness.processes import ROOT

_FIGURES = ("CPU, s", "longest step, ms", "memory ÷ body")


def main() -> int:
    """Measure and print a row a case; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.reading", description=__doc__)
    parser.add_argument("before", nargs="?", help="an earlier commit to measure as well")
    parser.add_argument("--out", type=Path, help="a page that has a place for the table")
    chosen = parser.parse_args()
    with contextlib.ExitStack() as stack:
        checkouts = {"now": ROOT}
        if chosen.before:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "before"
            earlier = stack.enter_context(checkout(chosen.before, folder))
            checkouts = {"before": earlier, "now": ROOT}
        rows = [(name, *_row(name, list(checkouts.values()))) for name in CASES]
    header = ("body", *(f"{figure}, {when}" for figure in _FIGURES for when in checkouts))
    told = "\n".join([_where(), "", *table.aligned(header, rows, numbers=slice(1, None)), ""])
    print(told, end="")
    if chosen.out is not None:
        page = chosen.out.read_text(encoding="utf-8")
        chosen.out.write_text(table.place(told, page, "reading"), encoding="utf-8")
    return 0


def measured(name: str, checkout: Path = ROOT) -> dict[str, Any]:
    """Return what a case costs with the server of a checkout."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "bench" / "reading_cases.py"), name],
        env={**os.environ, "PYTHONPATH": str(checkout)},
        stdout=subprocess.PIPE,
        check=True,
    )
    costs: dict[str, Any] = json.loads(done.stdout)
    return costs


def _row(name: str, checkouts: list[Path]) -> list[str]:
    costs = [measured(name, checkout) for checkout in checkouts]
    print(name, costs, file=sys.stderr, flush=True)
    return [
        *(f"{each['cpu_s']:.2f}" for each in costs),
        *table.figures(*(each["longest_ms"] for each in costs)),
        *(f"{each['peak_bytes'] / each['length_bytes']:.1f}" for each in costs),
    ]


def _where() -> str:
    facts = machine.facts()
    return f"{facts['CPU']}, Python {facts['Python']}"


if __name__ == "__main__":
    sys.exit(main())
