"""A model as the endpoint's schema route describes it: features, target, interval."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Column(BaseModel):
    """What a feature and a target have in common; the range is the one seen in training."""

    model_config = ConfigDict(frozen=True)

    name: str = Field(alias="title")
    description: str = ""
    unit: str = Field("", alias="x-unit")
    median: float | None = Field(None, alias="default")
    minimum: float | None = Field(None, alias="x-minimum")
    maximum: float | None = Field(None, alias="x-maximum")
    choices: tuple[str, ...] = Field((), alias="enum")

    @property
    def label(self) -> str:
        """The description as the start of a sentence, or the name."""
        text = self.description or self.name
        return text[0].upper() + text[1:]


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

    coverage: float
    lower: float
    upper: float


class Target(Column):
    """What the model predicts."""

    interval: Interval | None = Field(None, alias="x-interval")


class Instance(BaseModel):
    """The features by name, in the model's order."""

    model_config = ConfigDict(frozen=True)

    properties: dict[str, Feature]


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
