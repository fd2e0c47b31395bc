"""``python -m training``: make model directories."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from model_server.errors import ArtifactError
from training import boston, progress, table
from training.card import Card
from training.dataset import Dataset, build
from training.errors import TrainingError

if TYPE_CHECKING:
    from training.pipeline import Trained

EPILOG = """examples:
  python -m training
  python -m training --data sales.csv --target price --features area,rooms --name sales
"""


def main() -> int:
    """Train the models that the command line asks for; return the exit code."""
    arguments = _parser().parse_args()
    console = Console(highlight=False, soft_wrap=True)
    try:
        for dataset, card in _jobs(arguments):
            from training import pipeline  # slow to import, and mistakes are told at once

            with progress.show(console, card.name) as shown:
                trained = pipeline.train(
                    dataset, card, arguments.out, seed=arguments.seed, progress=shown
                )
            _show(console, trained)
    except (TrainingError, ArtifactError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: {error}; let HOME and TMPDIR name folders to write to", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m training",
        description="Compare estimators by cross-validation, fit the best one on all rows and "
        "write it as a model directory. Without --data the two built-in models are made: "
        "rooms and boston.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--out", type=Path, default=Path("models"), metavar="DIR", help="where (default: models)"
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of folds and estimators (default: 0)"
    )
    own = parser.add_argument_group("a model of your own")
    own.add_argument("--data", type=Path, metavar="FILE", help="a CSV file with a header")
    own.add_argument("--target", metavar="COLUMN", help="the column to predict")
    own.add_argument(
        "--features", default="", metavar="A,B", help="the columns to read (default: all others)"
    )
    own.add_argument("--name", help="of the model (default: the file's)")
    own.add_argument(
        "--task",
        choices=["regression", "classification"],
        help="what to predict (default: classes if the target holds texts, else a number)",
    )
    return parser


def _jobs(arguments: argparse.Namespace) -> Iterator[tuple[Dataset, Card]]:
    if arguments.data is None:
        for option in ("target", "features", "name", "task"):
            if getattr(arguments, option):
                raise TrainingError(f"--{option} needs --data; name a CSV file")
        yield from boston.models()
        return
    if arguments.target is None:
        raise TrainingError("--data needs --target; name the column to predict")
    name = arguments.name or arguments.data.stem
    features = [feature.strip() for feature in arguments.features.split(",") if feature.strip()]
    dataset = build(table.read(arguments.data), arguments.target, features, arguments.task)
    read = ", ".join(feature.name for feature in dataset.features)
    yield (
        dataset,
        Card(
            name=name,
            title=f"{arguments.target}, predicted",
            description=f"{arguments.target} from {read}.",
            source=arguments.data.name,
        ),
    )


def _show(console: Console, trained: "Trained") -> None:
    chosen = trained.comparison.chosen
    shown = Table(box=None, pad_edge=False)
    shown.add_column("candidate", no_wrap=True)
    for score in chosen.scores:
        shown.add_column(score, justify="right", no_wrap=True)
    for result in (*trained.comparison.results, trained.comparison.baseline):
        cells = [f"{result.mean(score):,.4g}" for score in chosen.scores]
        shown.add_row(result.candidate.name, *cells, style="bold" if result is chosen else "")
    console.print(shown)
    console.print(f"chosen: {chosen.candidate.name}, for {trained.comparison.reason}")
    console.print(f"written: {trained.directory}\n")


if __name__ == "__main__":
    sys.exit(main())
