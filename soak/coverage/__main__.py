"""``python -m soak.coverage``: sweep over scikit-learn, and write what is served."""

import argparse
import logging
import sys
import tempfile
from pathlib import Path

from soak.coverage import estimators, page, pipelines, sweep

log = logging.getLogger("soak")


def main() -> int:
    """Sweep over all; return 1 if an answer was wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m soak.coverage",
        description="Pack every estimator of scikit-learn and some seventy pipelines, serve them "
        "by one process, and compare their answers over every protocol with the estimators' own.",
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="where (default: printed only)")
    parser.add_argument("--only", nargs="*", default=[], metavar="WORD", help="names that hold one")
    arguments = parser.parse_args()
    results = {}
    for title, cases in (("Estimators", estimators.cases()), ("Pipelines", pipelines.cases())):
        chosen = (
            each
            for each in cases
            if not arguments.only or any(w in each[0] for w in arguments.only)
        )
        with tempfile.TemporaryDirectory(prefix="coverage-") as folder:
            results[title] = sweep.run(chosen, Path(folder))
    for title, found in results.items():
        print(f"{title}: {page.totals(found)}")
        for result in found:
            for problem in result.problems:
                print(f"  {result.name}: {problem}")
    if arguments.out:
        arguments.out.write_text(page.render(results), encoding="utf-8")
    return int(any(result.problems for found in results.values() for result in found))


if __name__ == "__main__":
    sys.exit(main())
