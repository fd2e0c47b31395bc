"""A training job of SageMaker, from what the platform puts below ``/opt/ml``.

::

    input/config/hyperparameters.json     the settings, each a text
    input/config/inputdataconfig.json     the channels
    input/config/resourceconfig.json      the instances
    input/data/training/                  CSV files
    input/data/validation/                the same, where there is such a channel
    model/                                where the model directory goes
    output/failure                        why there is none

A file of ``input/config`` that is not there is as good as an empty one.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from training import boston, holdout, settings
from training.dataset import Dataset, build
from training.errors import TrainingError
from training.model_card import ModelCard
from training.sagemaker import input_channel
from training.sagemaker.input_channel import InputChannel
from training.settings import Settings

TRAINING, VALIDATION = "training", "validation"
NAME = "model"
"""Of a model whose target is set and whose name is not."""


@dataclass(frozen=True)
class TrainingJob:
    """What is to be trained.

    Attributes
    ----------
    settings : Settings
    dataset : Dataset
        Of the channel ``training``.
    card : ModelCard
    held : Dataset, optional
        Of the channel ``validation``.
    ignored : list of str
        Channels that are not read.
    """

    settings: Settings
    dataset: Dataset
    card: ModelCard
    held: Dataset | None
    ignored: list[str]


def read(root: Path) -> TrainingJob:
    """Read a job from the files below `root`.

    Raises
    ------
    TrainingError
        If there is something in them that can't be trained with.
    """
    chosen = _settings(_config(root, "hyperparameters"))
    hosts = _config(root, "resourceconfig").get("hosts", [])
    if len(hosts) > 1:
        raise TrainingError(
            f"the job has {len(hosts)} instances, and one trains; set its InstanceCount to 1"
        )
    channels = _config(root, "inputdataconfig")
    training = _channel(root, TRAINING, channels)
    if training is None:
        given = f" but {', '.join(channels)}" if channels else ""
        raise TrainingError(f"there is no channel {TRAINING!r}{given}; add one with CSV files")
    dataset, card = _dataset(training, chosen)
    validation = _channel(root, VALIDATION, channels)
    held = None
    if validation is not None:
        with _of(validation):
            cells = validation.cells
            held = holdout.build(cells if chosen.target else boston.scaled(cells), dataset)
    ignored = [name for name in channels if name not in (TRAINING, VALIDATION)]
    return TrainingJob(chosen, dataset, card, held, ignored)


def _dataset(training: InputChannel, chosen: Settings) -> tuple[Dataset, ModelCard]:
    if chosen.target is None:
        with _of(training):
            dataset, card = boston.rooms(training.cells)
        return dataset, replace(card, name=chosen.name or card.name)
    with _of(training):
        dataset = build(training.cells, chosen.target, chosen.features, chosen.task)
    return dataset, ModelCard.plain(chosen.name or NAME, dataset, training.source)


@contextmanager
def _of(source: InputChannel) -> Iterator[None]:
    """Tell errors of a table as those of its channel."""
    try:
        yield
    except TrainingError as error:
        raise source.told(error) from error


def _config(root: Path, name: str) -> dict[str, Any]:
    path = root / "input" / "config" / f"{name}.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise TrainingError(
            f"{path}: can't be read ({error.strerror}); check its owner and mode"
        ) from error
    except ValueError as error:
        raise TrainingError(f"{path}: is not JSON ({error}); correct it") from error
    if not isinstance(content, dict):
        raise TrainingError(f"{path}: is not a JSON object; correct it")
    return content


def _settings(hyperparameters: dict[str, Any]) -> Settings:
    """Read the settings; what starts with ``_`` or ``sagemaker_`` is the platform's own."""
    chosen = settings.read(
        {
            name: _text(value)
            for name, value in hyperparameters.items()
            if not name.startswith(("_", "sagemaker_"))
        }
    )
    for name in ("features", "task"):
        if getattr(chosen, name) and chosen.target is None:
            raise TrainingError(f"{name}: needs a target; set target to the column to predict")
    return chosen


def _text(value: Any) -> str:
    """Return a hyperparameter as a text; some clients write texts in JSON once more."""
    text = value if isinstance(value, str) else json.dumps(value)
    try:
        inner = json.loads(text)
    except ValueError:
        return text
    return inner if isinstance(inner, str) else text


def _channel(root: Path, name: str, channels: dict[str, Any]) -> InputChannel | None:
    folder = root / "input" / "data" / name
    if name not in channels and not folder.exists():
        return None
    mode = dict(channels.get(name) or {}).get("TrainingInputMode", "File")
    if mode not in ("File", "FastFile"):
        raise TrainingError(
            f"channel {name!r}: its input mode is {mode}; set it to File or FastFile"
        )
    return input_channel.read(name, folder)
