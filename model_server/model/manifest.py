"""The manifest: what a model directory says about itself in ``manifest.json``."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Cell = float | str
Label = float | int | str
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Part(BaseModel):
    """A frozen piece of the manifest that allows no unknown key."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, ser_json_inf_nan="strings")


class Feature(Part):
    """One column that the model reads.

    ``minimum``, ``maximum`` and ``median`` are those of the training data and belong to numbers;
    ``categories`` are the texts seen in it, sorted, and belong to strings.
    """

    name: Annotated[str, Field(min_length=1)]
    type: Literal["number", "string"] = "number"
    description: str = ""
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    median: float | None = None
    categories: tuple[str, ...] = ()


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
    relative: Annotated[float, Field(ge=0)] = 0.0


class Conversion(Part):
    """How the conversion to ONNX went: what was compared, or the reason why there is no file."""

    converted: bool
    reason: str = ""
    rows_compared: int = 0
    largest_difference: float = 0.0


class Golden(Part):
    """Rows with the answers that a sound server gives; checked at every start."""

    instances: tuple[tuple[Cell, ...], ...]
    predictions: tuple[Label, ...]


class Manifest(Part):
    """Everything a server or a client needs to know of a model without running it."""

    format: Literal[1] = 1
    name: Annotated[
        str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$", max_length=63)
    ]
    version: Annotated[str, Field(min_length=1)]
    task: Literal["regression", "classification"]
    estimator: str
    description: str = ""
    features: Annotated[tuple[Feature, ...], Field(min_length=1)]
    target: Target
    rows: int
    metrics: dict[str, Metric] = {}
    tolerance: Tolerance = Tolerance()
    conversion: Conversion
    golden: Golden
    libraries: dict[str, str]
    files: dict[FileName, Sha256]
