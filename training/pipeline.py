"""From a data set to a model directory: compare, choose, fit, package, write, load again."""

import errno
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sklearn.base import clone

from model_server.model import directory as model_directory
from model_server.model import loading
from model_server.packing.package import Package
from training.comparison import Comparison, compare
from training.dataset import Dataset
from training.errors import Unwritable
from training.evaluation import evaluate
from training.model_card import ModelCard
from training.package import package
from training.progress import Progress
from training.report import page
from training.settings import Settings

REPORT = "report.html"


@dataclass(frozen=True)
class Trained:
    """A model that is ready to be written, and how it came to be.

    Attributes
    ----------
    directory : Path
        Where it goes.
    package : Package
    estimator : object
        The chosen candidate, fitted on every row.
    comparison : Comparison
    """

    directory: Path
    package: Package
    estimator: Any
    comparison: Comparison


def train(
    dataset: Dataset, card: ModelCard, out: Path, settings: Settings, progress: Progress
) -> Trained:
    """Train one model, for the directory ``out / card.name``; only `out` is made.

    Raises
    ------
    TrainingError
        If `out` can't be written, or the settings leave nothing to choose from.
    """
    directory = out / card.name
    try:
        out.mkdir(parents=True, exist_ok=True)
        if not os.access(out, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise Unwritable(directory, error) from error
    comparison = compare(dataset, settings, progress)
    estimator = clone(comparison.chosen.candidate.estimator).fit(dataset.inputs, dataset.y)
    progress("converting to ONNX", 1, 3)
    evaluation = evaluate(dataset, comparison)
    packaged = package(estimator, dataset, card.name, card.description, evaluation)
    progress("writing the report", 2, 3)
    evidence = page.Evidence(dataset, card, packaged.manifest, comparison, estimator, settings.seed)
    files = {**packaged.files, REPORT: page.render(evidence)}
    return Trained(directory, Package(packaged.manifest, files), estimator, comparison)


def write(trained: Trained) -> None:
    """Write the model directory and see that it would serve.

    Raises
    ------
    TrainingError
        If the directory can't be written.
    model_server.errors.ModelDirectoryError
        If the directory that was written would not serve.
    """
    try:
        model_directory.write(trained.directory, trained.package.manifest, trained.package.files)
    except OSError as error:
        raise Unwritable(trained.directory, error) from error
    loading.load(model_directory.read(trained.directory))
