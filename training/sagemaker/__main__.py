"""``python -m training.sagemaker``: a training job of Amazon SageMaker.

What takes long to import is imported once a stop is listened to.
"""

import argparse
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from training.errors import Stopped, Unwritable, explain
from training.sagemaker.stop_signal import stoppable

if TYPE_CHECKING:
    from rich.console import Console

    from training.pipeline import Trained

ROOT = Path("/opt/ml")


def main(arguments: Sequence[str] | None = None) -> int:
    """Train the model that the platform's files ask for; return the exit code.

    A stop ends the training, with the reason in ``output/failure``; it is ignored while the model
    directory is written, which takes a moment, and afterwards.
    """
    root = _parser().parse_args(arguments).root
    try:
        with stoppable() as check:
            from rich.console import Console

            console = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
            trained = _train(root, console, check)
        _write(trained, console)
    except (Exception, Stopped) as error:  # noqa: BLE001 - a person is told of each
        return _fail(root / "output" / "failure", error)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m training.sagemaker",
        description="Train one model as a training job of Amazon SageMaker.",
    )
    parser.add_argument(
        "--root",
        type=Path,
        default=ROOT,
        metavar="DIR",
        help=f"folder with the platform's input, model and output (default: {ROOT})",
    )
    return parser


def _train(root: Path, console: "Console", check: Callable[[], None]) -> "Trained":
    from training.sagemaker import training_job

    given = training_job.read(root)
    for name in given.ignored:
        console.print(f"channel {name!r} is not read")
    from training import holdout, leaderboard, pipeline, progress
    from training.sagemaker import metric_definitions

    with progress.show(console, given.card.name) as shown, _cured():

        def watched(what: str, done: int, total: int) -> None:
            check()
            shown(what, done, total)

        trained = pipeline.train(given.dataset, given.card, root / "model", given.settings, watched)
    leaderboard.show(console, trained.comparison)
    means = {name: metric.mean for name, metric in trained.package.manifest.metrics.items()}
    found = {metric_definitions.CROSS_VALIDATED: means}
    if given.held is not None:
        found[metric_definitions.VALIDATION] = holdout.evaluate(trained.estimator, given.held)
    for line in metric_definitions.lines(found):
        console.print(line)
    check()
    return trained


def _write(trained: "Trained", console: "Console") -> None:
    from training import pipeline

    with _cured():
        pipeline.write(trained)
    console.print(f"written: {trained.directory}")


@contextmanager
def _cured() -> Iterator[None]:
    """Tell what helps where the model directory can't be written."""
    try:
        yield
    except Unwritable as error:
        cure = "give the job a larger volume, or the folder to the user that the container runs as"
        raise Unwritable(error.directory, error.error, cure) from error


def _fail(file: Path, error: BaseException) -> int:
    """Leave the reason where the platform looks for it and in the log; return the exit code."""
    told = explain(error)
    if not told.expected:
        traceback.print_exception(error)
    print(f"error: {told.line}", file=sys.stderr)  # noqa: T201 - the platform's log
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{told.line}\n", encoding="utf-8")
    except OSError as unwritten:
        print(f"error: {file}: can't be written ({unwritten.strerror})", file=sys.stderr)  # noqa: T201
    return told.code


if __name__ == "__main__":
    sys.exit(main())
