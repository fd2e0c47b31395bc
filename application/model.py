"""A model as the endpoint's schema route describes it: features, target, interval."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Number = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=-1e300, le=1e300)]
"""Sums of two are finite."""
Whole = Annotated[int, Field(strict=True, ge=-(2**63), lt=2**63)]
_SMALLEST_RANGE = 1e-290
_SMALLEST_PART = 1e-12


class Column(BaseModel):
    """What a feature and a target have in common; the range is the one seen in training."""

    model_config = ConfigDict(frozen=True)

    name: str = Field(alias="title", min_length=1)
    description: str = ""
    unit: str = Field("", alias="x-unit")
    median: Number | None = Field(None, alias="default")
    minimum: Number | None = Field(None, alias="x-minimum")
    maximum: Number | None = Field(None, alias="x-maximum")
    choices: tuple[str, ...] = Field((), alias="enum")

    @property
    def label(self) -> str:
        """The description as the start of a sentence, or the name."""
        text = self.description or self.name
        return text[0].upper() + text[1:]

    @property
    def range(self) -> tuple[float, float] | None:
        """The range where it is known, and wide enough for numbers to tell its places apart."""
        if self.minimum is None or self.maximum is None:
            return None
        size = max(abs(self.minimum), abs(self.maximum))
        wide = self.maximum - self.minimum > max(_SMALLEST_PART * size, _SMALLEST_RANGE)
        return (self.minimum, self.maximum) if wide else None


class Feature(Column):
    """One number or one of some texts that the model reads."""

    type: Literal["number", "string"]

    @property
    def is_switch(self) -> bool:
        """Whether it is a yes or no, written 1 or 0."""
        return self.unit == "0 or 1"

    def is_outside(self, value: float | str) -> bool:
        """Tell whether a value lies outside the range seen in training."""
        if isinstance(value, str) or self.minimum is None or self.maximum is None:
            return False
        return not self.minimum <= value <= self.maximum


class Interval(BaseModel):
    """Where the truth lies around a prediction, as offsets, in so large a share of cases."""

    model_config = ConfigDict(frozen=True)

    coverage: Annotated[Number, Field(ge=0, le=1)]
    lower: Number
    upper: Number


class Target(Column):
    """What the model predicts."""

    interval: Interval | None = Field(None, alias="x-interval")


class Instance(BaseModel):
    """The features by name, in the model's order."""

    model_config = ConfigDict(frozen=True)

    properties: dict[str, Feature] = Field(min_length=1)


class Model(BaseModel):
    """One model of the endpoint."""

    model_config = ConfigDict(frozen=True)

    name: str
    description: str = ""
    instance: Instance = Field(alias="features")
    target: Target

    @property
    def features(self) -> dict[str, Feature]:
        """The features by name, in the model's order."""
        return self.instance.properties
