"""The settings of a training, for the command line and for SageMaker's hyperparameters alike."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from model_server.model import numbers
from training.errors import TrainingError

CANDIDATES = ("linear", "polynomial", "logistic", "forest", "boosting")
TREES = (
    "n_estimators",
    "max_depth",
    "min_samples_leaf",
    "learning_rate",
    "subsample",
    "max_features",
)


@dataclass(frozen=True)
class Kind:
    """How a text is read.

    Attributes
    ----------
    expected : str
        What it has to be, for a person.
    short : str
        The same in the help, as short as can be.
    read : callable
        Raises `ValueError` for a text that is something else.
    """

    expected: str
    short: str
    read: Callable[[str], Any]


def _whole(low: int, high: int) -> Kind:
    def read(text: str) -> int:
        value = int(text)
        if not numbers.is_number(text) or not low <= value <= high:
            raise ValueError(text)
        return value

    return Kind(f"a whole number from {low} to {high}", "N", read)


def _share(*words: str) -> Kind:
    def read(text: str) -> float | str:
        if text in words:
            return text
        value = numbers.read(text)
        if not 0 < value <= 1:
            raise ValueError(text)
        return value

    return Kind(" or ".join(["a number above 0, up to 1", *words]), "SHARE", read)


def _word(*words: str) -> Kind:
    def read(text: str) -> str:
        return words[words.index(text)]

    return Kind(" or ".join(words), "TASK", read)


def _names(*known: str) -> Kind:
    def read(text: str) -> tuple[str, ...]:
        names = _listed(text)
        if known and not set(names) <= set(known):
            raise ValueError(text)
        return names

    return Kind(f"one or more of {', '.join(known)}, with commas", "A,B", read)


def _listed(text: str) -> tuple[str, ...]:
    """Read names with commas between them, or as a list in JSON, whose names may hold commas."""
    try:
        names = json.loads(text)
    except ValueError:
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        names = text.split(",")
    return tuple(name.strip() for name in names if name.strip())


def _setting(help_text: str, kind: Kind, default: Any = None) -> Any:
    return field(default=default, metadata={"help": help_text, "kind": kind})


@dataclass(frozen=True)
class Settings:
    """What can be set; what is not is decided by the training, candidate by candidate."""

    target: str | None = _setting("the column to predict", Kind("a column", "COLUMN", str))
    features: tuple[str, ...] = _setting("the columns to read (default: all others)", _names(), ())
    name: str | None = _setting("of the model", Kind("a name", "NAME", str))
    task: Literal["regression", "classification"] | None = _setting(
        "regression or classification (default: classes if the target holds texts, else a number)",
        _word("regression", "classification"),
    )
    seed: int = _setting("of folds and estimators (default: 0)", _whole(0, 2**32 - 1), 0)
    candidates: tuple[str, ...] = _setting(
        f"which compete, of {', '.join(CANDIDATES)} (default: all of the task)",
        _names(*CANDIDATES),
        (),
    )
    n_estimators: int | None = _setting("trees of forest and boosting", _whole(1, 5000))
    max_depth: int | None = _setting("of a tree", _whole(1, 64))
    min_samples_leaf: int | None = _setting("least rows of a leaf", _whole(1, 10_000))
    learning_rate: float | None = _setting("of boosting", _share())
    subsample: float | None = _setting("share of the rows that a tree of boosting sees", _share())
    max_features: float | str | None = _setting(
        "share of the features that a split looks at, or sqrt or log2", _share("sqrt", "log2")
    )

    @property
    def trees(self) -> dict[str, Any]:
        """What is set of the trees, by the names of scikit-learn."""
        return {name: value for name in TREES if (value := getattr(self, name)) is not None}


def read(given: Mapping[str, str]) -> Settings:
    """Read the settings from texts by name; an empty text is as good as none.

    Raises
    ------
    TrainingError
        If a name is not known, or a text is not what it has to be.
    """
    kinds: dict[str, Kind] = {each.name: each.metadata["kind"] for each in fields(Settings)}
    found = {}
    for name, text in given.items():
        if name not in kinds:
            raise TrainingError(f"{name!r} can't be set; what can is {', '.join(kinds)}")
        if not text.strip():
            continue
        try:
            found[name] = kinds[name].read(text.strip())
        except ValueError:
            raise TrainingError(
                f"{name}: {text[:40]!r} is not {kinds[name].expected}; correct it or leave it out"
            ) from None
    return Settings(**found)
