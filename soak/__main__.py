"""``python -m soak``: run the scenarios at full size and write what was seen."""

import argparse
import importlib
import logging
import signal
import sys
import tempfile
from pathlib import Path

from soak import page
from soak.scenario import Outcome

SCENARIOS = (
    *("drain", "farewell", "overload", "slow", "siege", "resets", "beside", "mute", "credentials"),
    *("memory", "directories", "damage", "protocol", "states", "fuzzing", "faults", "rollouts"),
)

log = logging.getLogger("soak")


def main() -> int:
    """Run what is asked for; return 1 if something did not hold."""
    arguments = _parser().parse_args()
    logging.basicConfig(format="%(asctime)s  %(message)s", datefmt="%H:%M:%S")
    log.setLevel(logging.INFO)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    if not any(arguments.models.glob("*/manifest.json")):
        print(f"error: {arguments.models}: no model there; run make train", file=sys.stderr)
        return 2
    written = arguments.out.read_text(encoding="utf-8") if arguments.out else ""
    outcomes = {}
    for name in arguments.only or SCENARIOS:
        log.info("%s: begins", name)
        try:
            outcomes[name] = _run(name, arguments.models)
        except KeyboardInterrupt:
            print("stopped; its servers are ended, nothing is written", file=sys.stderr)
            return 130
        print(f"{name}: {'held' if outcomes[name].held else 'NOT HELD'}: {outcomes[name].seen}")
    if arguments.out:
        arguments.out.write_text(page.update(written, outcomes), encoding="utf-8")
    return 0 if all(outcome.held for outcome in outcomes.values()) else 1


def _run(name: str, models: Path) -> Outcome:
    with tempfile.TemporaryDirectory(prefix=f"soak-{name}-") as folder:
        try:
            outcome = importlib.import_module(f"soak.{name}").run(models, Path(folder))
        except Exception as error:
            log.exception("%s: broke off", name)
            return Outcome("", f"broke off: {error!r}", held=False)
    return Outcome(outcome.asked, outcome.seen, outcome.held)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m soak",
        description="Run the long trials, an hour in all. The exit status is 0 if all held.",
    )
    parser.add_argument(
        "--only", action="append", choices=SCENARIOS, help="run this one; may be given again"
    )
    parser.add_argument(
        "--models", type=Path, default=Path("models"), help="trained models (%(default)s)"
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="update the table of results in this page"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
