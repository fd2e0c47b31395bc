"""The manifest: what a model directory says about itself in ``manifest.json``."""

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
Type = Literal["number", "integer", "boolean", "category", "text", "datetime", "vector"]
Container = Literal["array", "frame", "series"]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$", max_length=63)]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

_LARGEST_TOLERANCE = 0.01
"""Of what is predicted; more would not tell a wrong answer from a right one."""


def _today(kind: object) -> object:
    """Return the name of today of a type that the first manifests called otherwise."""
    return "category" if kind == "string" else kind


class Part(BaseModel):
    """A frozen piece of the manifest that allows no unknown key."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, ser_json_inf_nan="strings")


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
    """What the model predicts; ``classes`` in the estimator's own order for a classifier."""

    name: str
    description: str = ""
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    median: float | None = None
    classes: tuple[Label, ...] = ()
    interval: Interval | None = None


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
    relative: Annotated[float, Field(ge=0, le=_LARGEST_TOLERANCE)] = 0.0


class Conversion(Part):
    """How the conversion to ONNX went: what was compared, or the reason why there is no file."""

    converted: bool
    reason: str = ""
    rows_compared: int = 0
    largest_difference: float = 0.0


class Golden(Part):
    """Rows with the answers that a sound server gives; checked at every start."""

    instances: Annotated[tuple[tuple[Cell, ...], ...], Field(min_length=1)]
    predictions: tuple[Label, ...]

    @model_validator(mode="after")
    def _go_together(self) -> Self:
        rows, answers = len(self.instances), len(self.predictions)
        if rows != answers:
            raise ValueError(f"{rows} instances have {answers} predictions")
        if not all(map(math.isfinite, _numbers(self.predictions))):
            raise ValueError("a prediction is not finite")
        return self


def _numbers(labels: Iterable[Label | None]) -> list[float]:
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
    """

    format: Literal[1] = 1
    name: Name
    version: Annotated[str, Field(min_length=1)]
    task: Literal["regression", "classification"]
    estimator: str
    description: str = ""
    features: Annotated[tuple[Feature, ...], Field(min_length=1), AfterValidator(_different)]
    container: Container | None = None
    target: Target
    rows: int
    metrics: dict[str, Metric] = {}
    tolerance: Tolerance = Tolerance()
    conversion: Conversion
    golden: Golden
    libraries: dict[str, str]
    files: dict[FileName, Sha256]

    @field_validator("golden")
    @classmethod
    def _tells_right_from_wrong(cls, golden: Golden, info: ValidationInfo) -> Golden:
        """See that the tolerance, which leaves the rows nothing to check, is a small one."""
        task, target, tolerance = (info.data.get(key) for key in ("task", "target", "tolerance"))
        if target is None or tolerance is None:  # which has an error of its own
            return golden
        seen = _numbers([*golden.predictions, target.minimum, target.maximum])
        largest = _LARGEST_TOLERANCE * max(map(abs, seen), default=0.0)
        if task == "classification":
            largest = 0.0
        if tolerance.absolute > largest:
            raise ValueError(
                f"with a tolerance of {tolerance.absolute:g} they check nothing; "
                f"{largest:g} is the most here"
            )
        return golden
