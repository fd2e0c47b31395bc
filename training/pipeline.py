"""From a data set to a model directory: compare, choose, fit, package, write, load again."""

from dataclasses import dataclass
from pathlib import Path

from sklearn.base import clone

from model_server import artifact, runtime
from model_server.manifest import Manifest
from training import report
from training.card import Card
from training.comparison import Comparison, compare
from training.dataset import Dataset
from training.errors import TrainingError
from training.evaluation import evaluate
from training.package import package
from training.progress import Progress

REPORT = "report.html"


@dataclass(frozen=True)
class Trained:
    """A model directory that was written and loads, and how it came to be."""

    directory: Path
    manifest: Manifest
    comparison: Comparison


def train(dataset: Dataset, card: Card, out: Path, *, seed: int, progress: Progress) -> Trained:
    """Train one model and write it to ``out / card.name``.

    Parameters
    ----------
    dataset : Dataset
    card : Card
    out : Path
    seed : int
        Of the folds and of every estimator that draws random numbers.
    progress : callable

    Raises
    ------
    TrainingError
        If the directory can't be written.
    model_server.errors.ArtifactError
        If the directory that was written would not serve.
    """
    directory = out / card.name
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(directory, error) from error
    comparison = compare(dataset, seed, progress)
    estimator = clone(comparison.chosen.candidate.estimator).fit(dataset.inputs, dataset.y)
    progress("converting to ONNX", 1, 3)
    evaluation = evaluate(dataset, comparison)
    packaged = package(estimator, dataset, card.name, card.description, evaluation)
    progress("writing the report", 2, 3)
    evidence = report.Evidence(dataset, card, packaged.manifest, comparison, estimator, seed)
    files = {**packaged.files, REPORT: report.render(evidence)}
    try:
        artifact.write(directory, packaged.manifest, files)
    except OSError as error:
        raise _unwritable(directory, error) from error
    written = artifact.read(directory)
    runtime.load(written)
    return Trained(directory, written.manifest, comparison)


def _unwritable(directory: Path, error: OSError) -> TrainingError:
    return TrainingError(f"{directory}: can't be written ({error.strerror}); choose another --out")
