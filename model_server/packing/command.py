"""``python -m model_server pack``: make a model directory of a fitted estimator in a file."""

import argparse
import logging
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from model_server.errors import ModelServerError
from model_server.model import directory as model_directory
from model_server.model import loading
from model_server.model.manifest import Name
from model_server.model.runtime import Runtime
from model_server.packing import features, fitted, overrides, sample, summary
from model_server.packing.errors import NotPacked
from model_server.packing.pack import pack
from model_server.packing.package import Package

_EPILOG = """examples:
  python -m model_server pack model.joblib --sample rows.csv
  python -m model_server pack model.pkl --sample rows.csv --target truth.csv --name churn
  python -m model_server --models models --print-example
"""


def main(arguments: Sequence[str]) -> int:
    """Pack the model that the command line names; return the exit code."""
    given = _parser().parse_args(arguments)
    if sys.stderr.isatty():
        logging.basicConfig(format="%(message)s ...", level=logging.INFO)
    try:
        _pack(given)
    except ModelServerError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m model_server pack",
        description="Make a model directory of a fitted scikit-learn estimator or pipeline: find "
        "out how it reads the sample's rows and what it gives, convert it to a graph where that "
        "gives the same answers, and keep some rows to check it by at every start. What is in a "
        ".joblib or .pkl file may run code: pack only what you trust.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("model", type=Path, metavar="MODEL", help="a file: .joblib, .pkl, .pickle or .skops")
    add(
        "--sample",
        type=Path,
        required=True,
        metavar="FILE",
        help="rows as the model gets them: .csv with a header, .jsonl, or a pickled frame",
    )
    add("--target", type=Path, metavar="FILE", help="a .csv with the truth of each of these rows")
    add("--name", metavar="NAME", help="what it is served as (default: the file's name)")
    add("--out", type=Path, metavar="DIR", help="where it goes (default: models/NAME)")
    add("--overrides", type=Path, metavar="FILE", help="types, units, ... in TOML; see the docs")
    add(
        "--outputs",
        type=lambda text: tuple(text.split(",")),
        default=(),
        metavar="NAMES",
        help="what it must give beside its predictions: std, decision, ...; without a graph if "
        "that gives it not",
    )
    add(
        "--tolerance",
        type=float,
        metavar="SHARE",
        help="what a graph's numbers may be off by, of their range (default: 1e-6); labels are "
        "the same whatever it is",
    )
    add("--allow-version-change", action="store_true", help="take another scikit-learn's file")
    return parser


def _pack(given: argparse.Namespace) -> None:
    name = _name(given)
    estimator = fitted.load(given.model, any_version=given.allow_version_change)
    rows, chosen = sample.read(given.sample), overrides.read(given.overrides)
    truth = None if given.target is None else sample.read(given.target)
    chosen = overrides.changed(chosen, outputs=given.outputs, tolerance=given.tolerance)
    made = pack(estimator, rows, name, chosen, truth)
    out = given.out or Path("models") / name
    served = _write(out, made)
    print(f"{given.model}: {made.manifest.estimator} ({made.manifest.task})\n")
    print(summary.text(made.manifest))
    if truth is not None:
        X = features.read(rows, made.manifest.features)
        print(f"against the truth: {summary.comparison(served.predict(X), truth)}")
    print(f"\nwritten: {out}\nserve it: python -m model_server --models {out} --print-example")


def _name(given: argparse.Namespace) -> str:
    name = given.name or re.sub(r"[^A-Za-z0-9._-]+", "-", given.model.stem).strip("-._")
    try:
        return str(TypeAdapter(Name).validate_python(name))
    except ValidationError:
        raise NotPacked(
            f"{name!r} is no name for a model",
            "set --name to at most 63 letters, digits, dots, dashes and underscores",
        ) from None


def _write(out: Path, made: Package) -> Runtime:
    """Write a package, and load what was written as a server does."""
    try:
        model_directory.write(out, made.manifest, made.files)
    except OSError as error:
        raise NotPacked(f"{out}: can't be written ({error.strerror})", "set --out") from error
    return loading.load(model_directory.read(out))
