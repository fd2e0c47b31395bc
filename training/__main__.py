"""``python -m training``: make model directories."""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

from rich.console import Console

from model_server.errors import ModelDirectoryError
from training import boston, leaderboard, progress, settings, table
from training.dataset import Dataset, build
from training.errors import TrainingError, explain
from training.model_card import ModelCard
from training.settings import Settings

EPILOG = """examples:
  python -m training
  python -m training --data sales.csv --target price --features area,rooms --name sales
  python -m training --data sales.csv --target price --candidates forest --n-estimators 500
"""

_NAMES = tuple(setting.name for setting in fields(Settings))
_OWN = ("target", "features", "name", "task")


def main() -> int:
    """Train the models that the command line asks for; return the exit code."""
    arguments = _parser().parse_args()
    console = Console(highlight=False, soft_wrap=True)
    try:
        given = {name: text for name in _NAMES if (text := getattr(arguments, name)) is not None}
        chosen = settings.read(given)
        for dataset, card in _jobs(arguments.data, chosen):
            from training import pipeline  # slow to import, and mistakes are told at once

            with progress.show(console, card.name) as shown:
                trained = pipeline.train(dataset, card, arguments.out, chosen, shown)
            pipeline.write(trained)
            leaderboard.show(console, trained.comparison)
            console.print(f"written: {trained.directory}\n")
    except (TrainingError, ModelDirectoryError, OSError) as error:
        told = explain(error)
        print(f"error: {told.line}", file=sys.stderr)
        return told.code
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
    own = parser.add_argument_group("a model of your own")
    own.add_argument("--data", type=Path, metavar="FILE", help="a CSV file with a header")
    how = parser.add_argument_group("how it is trained")
    for setting in fields(Settings):
        (own if setting.name in _OWN else how).add_argument(
            f"--{setting.name.replace('_', '-')}",
            metavar=setting.metadata["kind"].short,
            help=setting.metadata["help"],
        )
    return parser


def _jobs(data: Path | None, chosen: Settings) -> Iterator[tuple[Dataset, ModelCard]]:
    if data is None:
        for option in _OWN:
            if getattr(chosen, option):
                raise TrainingError(f"--{option} needs --data; name a CSV file")
        yield from boston.models()
        return
    if chosen.target is None:
        raise TrainingError("--data needs --target; name the column to predict")
    dataset = build(table.read(data), chosen.target, chosen.features, chosen.task)
    yield dataset, ModelCard.plain(chosen.name or data.stem, dataset, data.name)


if __name__ == "__main__":
    sys.exit(main())
