"""The manifest: what a model directory says about itself in ``manifest.json``."""

import itertools
import math
from collections.abc import Iterable
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

Label = bool | int | float | str
Cell = Label | tuple[float, ...] | None
Value = Label | tuple[Label, ...]
Type = Literal["number", "integer", "boolean", "category", "text", "datetime", "vector"]
Task = Literal[
    "regression",
    "classification",
    "clustering",
    "outlier detection",
    "transformation",
    "density",
]
Method = Literal[
    "predict",
    "predict_proba",
    "decision_function",
    "transform",
    "score_samples",
    "predict_std",
]
Container = Literal["array", "frame", "series"]
Surplus = Literal["refused", "ignored"]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$", max_length=63)]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

PREDICTION = "prediction"
"""The name of a model's first output."""

LARGEST_TOLERANCE = 0.01
"""Of what is predicted; more would not tell a wrong answer from a right one."""


def _today(kind: object) -> object:
    """Return the name of today of a type that the first manifests called otherwise."""
    return "category" if kind == "string" else kind


class Part(BaseModel):
    """A frozen piece of the manifest that allows no unknown key."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, ser_json_inf_nan="strings")


class Tokens(Part):
    """How a text is cut into the tokens that a graph counts; see `model_server.model.tokens`.

    Attributes
    ----------
    analyzer : str
        Whether tokens are words, characters, or characters within words.
    lowercase : bool
    strip_accents : str
        Empty where they stay.
    pattern : str
        A regular expression of Python's for a word.
    ngrams : tuple of int
        The least and the most that are joined.
    stop_words : tuple of str
    n_known : int
        How many tokens the graph counts.
    """

    analyzer: Literal["word", "char", "char_wb"] = "word"
    lowercase: bool = True
    strip_accents: Literal["", "ascii", "unicode"] = ""
    pattern: str = r"(?u)\b\w\w+\b"
    ngrams: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] = (1, 1)
    stop_words: tuple[str, ...] = ()
    n_known: Annotated[int, Field(ge=1)] = 1


class Feature(Part):
    """One column that the model reads.

    Attributes
    ----------
    type : str
        ``category`` is one of some labels, ``text`` is free, ``vector`` a list of numbers.
    missing : bool
        Whether a value may be missing.
    unknown : bool
        Of a category: whether other texts than `categories` are left to the model.
    length : int
        Of a vector.
    dtype : str
        Of the column in the pandas frame that the estimator was fitted on, where that is not the
        usual one of its type.
    tokens : Tokens, optional
        What a graph is given of a text, in its place.
    minimum, maximum, median : float, optional
        Of the training data; they belong to numbers.
    categories : tuple
        The labels that were seen in it, in the order of the dtype where that is one of categories,
        else sorted.
    """

    name: Annotated[str, Field(min_length=1)]
    type: Annotated[Type, BeforeValidator(_today)] = "number"
    missing: bool = False
    unknown: bool = False
    length: Annotated[int, Field(ge=0)] = 0
    dtype: str = ""
    tokens: Tokens | None = None
    description: str = ""
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    median: float | None = None
    categories: tuple[Label, ...] = ()

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.type == "category" and not self.categories:
            raise ValueError(f"{self.name!r} is a category and has none")
        if (self.type == "vector") != (self.length > 0):
            raise ValueError(f"{self.name!r} is a vector or has no length")
        if self.missing and self.type == "vector":
            raise ValueError(f"{self.name!r} is a vector, and none of these may be missing")
        return self


class Interval(Part):
    """Where the truth lies around a prediction: between ``prediction + lower`` and ``+ upper``.

    The two offsets, in the target's unit, are quantiles of the out-of-fold residuals, so that a
    share ``coverage`` of the training rows fell between them.
    """

    coverage: Annotated[float, Field(gt=0, lt=1)]
    lower: float
    upper: float


class Target(Part):
    """What the model predicts.

    Attributes
    ----------
    classes : tuple
        Of a classifier, in the estimator's own order.
    threshold : float, optional
        The least probability of the second of two classes at which it is predicted, if not the
        estimator's own.
    """

    name: str
    description: str = ""
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    median: float | None = None
    classes: tuple[Label, ...] = ()
    threshold: float | None = None
    interval: Interval | None = None


class Output(Part):
    """One of the things that a model gives for each row.

    Attributes
    ----------
    name : str
    method : str
        Of the estimator, that gives it.
    type : str
    shape : tuple of int
        Of one row's: ``()`` for a number or a label.
    names : tuple
        Of its parts, where it is a list: the classes that probabilities are of, in their order.
    """

    name: Name
    method: Method = "predict"
    type: Literal["number", "integer", "boolean", "text"] = "number"
    shape: tuple[Annotated[int, Field(ge=0)], ...] = ()
    names: tuple[Label, ...] = ()


class Metric(Part):
    """A score's mean and standard deviation over the folds, beside the baseline's mean."""

    mean: float
    std: float
    baseline: float


class Tolerance(Part):
    """How far ``model.onnx`` may be from ``model.joblib``: ``absolute + relative * |expected|``.

    Both are 0 for a classifier: the labels are the same.
    """

    absolute: Annotated[float, Field(ge=0)] = 0.0
    relative: Annotated[float, Field(ge=0, le=LARGEST_TOLERANCE)] = 0.0


class Conversion(Part):
    """How the conversion to ONNX went: what was compared, or the reason why there is no file."""

    converted: bool
    reason: str = ""
    rows_compared: int = 0
    largest_difference: float = 0.0


class Golden(Part):
    """Rows with the answers that a sound server gives; checked at every start.

    Attributes
    ----------
    outputs : dict of str to tuple
        What the model gives for them beside its predictions.
    """

    instances: Annotated[tuple[tuple[Cell, ...], ...], Field(min_length=1)]
    predictions: tuple[Value, ...]
    outputs: dict[str, tuple[Value, ...]] = {}

    @model_validator(mode="after")
    def _go_together(self) -> Self:
        rows = len(self.instances)
        for name, answers in {"predictions": self.predictions, **self.outputs}.items():
            if rows != len(answers):
                raise ValueError(f"{rows} instances have {len(answers)} {name}")
        if not all(map(math.isfinite, _numbers(self.predictions))):
            raise ValueError("a prediction is not finite")
        return self


def _numbers(values: Iterable[Value | None]) -> list[float]:
    labels = itertools.chain.from_iterable(
        value if isinstance(value, tuple) else (value,) for value in values
    )
    return [label for label in labels if isinstance(label, int | float)]


def _different(features: tuple[Feature, ...]) -> tuple[Feature, ...]:
    names = [feature.name for feature in features]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{name!r} is listed twice")
    return features


class Manifest(Part):
    """Everything a server or a client needs to know of a model without running it.

    Attributes
    ----------
    container : str, optional
        What the estimator was fitted on; what it tells of itself if none is named.
    outputs : tuple of Output
        The first is the prediction; a model that lists none gives this alone.
    returned : tuple of str
        The outputs that a request gets which asks for none.
    surplus : str
        Whether columns that are no features are refused where they come, or ignored.
    """

    format: Literal[1] = 1
    name: Name
    version: Annotated[str, Field(min_length=1)]
    task: Task
    estimator: str
    description: str = ""
    features: Annotated[tuple[Feature, ...], Field(min_length=1), AfterValidator(_different)]
    container: Container | None = None
    surplus: Surplus = "refused"
    target: Target
    outputs: tuple[Output, ...] = ()
    returned: tuple[str, ...] = (PREDICTION,)
    rows: int
    metrics: dict[str, Metric] = {}
    tolerance: Tolerance = Tolerance()
    conversion: Conversion
    golden: Golden
    libraries: dict[str, str]
    files: dict[FileName, Sha256]

    @model_validator(mode="after")
    def _gives_what_it_returns(self) -> Self:
        names = [output.name for output in self.outputs] or [PREDICTION]
        if names[0] != PREDICTION or len(set(names)) < len(names):
            raise ValueError(f"its outputs are {', '.join(names)}, not {PREDICTION} and others")
        for name in (*self.returned, *self.golden.outputs):
            if name not in names:
                raise ValueError(f"{name!r} is none of its outputs {', '.join(names)}")
        return self

    @field_validator("golden")
    @classmethod
    def _tells_right_from_wrong(cls, golden: Golden, info: ValidationInfo) -> Golden:
        """See that the tolerance, which leaves the rows nothing to check, is a small one."""
        task, target, tolerance = (info.data.get(key) for key in ("task", "target", "tolerance"))
        if target is None or tolerance is None:  # which has an error of its own
            return golden
        seen = _numbers([*golden.predictions, target.minimum, target.maximum])
        largest = LARGEST_TOLERANCE * max(map(abs, seen), default=0.0)
        if task == "classification":
            largest = 0.0
        if tolerance.absolute > largest:
            raise ValueError(
                f"with a tolerance of {tolerance.absolute:g} they check nothing; "
                f"{largest:g} is the most here"
            )
        return golden
