"""A model's form: its fields in groups, what was typed, and what of it can't be used."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import quote

from application import boston, number
from application.language import Language
from application.model import Feature, Model

Value = float | str
ReadNumber = Callable[[str], float]


class Slider(NamedTuple):
    """The ends and the step of a slider."""

    minimum: float
    maximum: float
    step: float


@dataclass
class Field:
    """One field: its feature, the text in it, and what is wrong with that."""

    feature: Feature
    text: str
    problem: str = ""

    @property
    def id(self) -> str:
        """The feature's name as the id of an element, which holds no blank."""
        return quote(self.feature.name)

    @property
    def slider(self) -> Slider | None:
        """The slider for a number whose range is known, on round steps inside it."""
        if self.feature.range is None:
            return None
        low, high = self.feature.range
        decimals = 2 - math.floor(math.log10(high - low))
        step = 10.0**-decimals
        first = math.ceil(round(low / step, 6))
        last = math.floor(round(high / step, 6))
        return Slider(round(first * step, decimals), round(last * step, decimals), step)

    def choices(self) -> list[tuple[str, str]]:
        """Return what can be chosen, as values and labels; nothing where a number is typed."""
        if self.feature.is_switch:
            return [("0", "No"), ("1", "Yes")]
        return [(choice, choice) for choice in self.feature.choices]


@dataclass
class Form:
    """The fields of a model by feature, in its order.

    ``values`` are what the model is asked with, and None while a field has a problem.
    """

    model: Model
    fields: dict[str, Field]
    values: list[Value] | None

    @property
    def problems(self) -> list[Field]:
        """The fields that can't be used."""
        return [field for field in self.fields.values() if field.problem]

    @property
    def single(self) -> Field | None:
        """The field of a model that reads one number."""
        fields = list(self.fields.values())
        return fields[0] if len(fields) == 1 and not fields[0].choices() else None

    def groups(self) -> list[tuple[str, list[Field]]]:
        """Return the fields under headings."""
        if boston.fits(self.model):
            headings: Mapping[str, list[str]] = {
                heading: [name for name in names if name in self.fields]
                for heading, names in boston.GROUPS.items()
            }
        else:
            headings = {
                "Numbers": [name for name, field in self.fields.items() if not field.choices()],
                "Choices": [name for name, field in self.fields.items() if field.choices()],
            }
        return [
            (heading, [self.fields[name] for name in names])
            for heading, names in headings.items()
            if names
        ]

    def outside(self) -> list[Field]:
        """Return the fields whose value was not seen in training."""
        values = self.values or []
        return [
            field
            for field, value in zip(self.fields.values(), values, strict=True)
            if field.feature.is_outside(value)
        ]


def fill(model: Model, typed: Mapping[str, str], language: Language) -> Form:
    """Return a model's form with what was typed, or the defaults where nothing was."""
    fields: dict[str, Field] = {}
    values: list[Value] = []
    for name, feature in model.features.items():
        field = Field(feature, typed.get(name, _default(feature, language)))
        try:
            values.append(read_value(feature, field.text, language.read))
        except ValueError as error:
            field.problem = str(error)
        fields[name] = field
    return Form(model, fields, values if len(values) == len(fields) else None)


def read_value(feature: Feature, text: str, read: ReadNumber) -> Value:
    """Read what stands for a feature in a form or a file, a number by `read`.

    Raises
    ------
    ValueError
        With what is wrong, as a clause.
    """
    if feature.type == "string":
        if text not in feature.choices:
            raise ValueError(f"{_shown(text)} is not one of {', '.join(feature.choices)}")
        return text
    written = text.strip(number.SPACE)
    if not written:
        raise ValueError("is empty")
    try:
        value = read(text)
    except ValueError:
        raise ValueError(f"{_shown(text)} is not a number") from None
    if not math.isfinite(value):
        raise ValueError(f"{_short(written)} is not a finite number")
    return value


def _default(feature: Feature, language: Language) -> str:
    if feature.choices:
        return feature.choices[0]
    return language.field(feature.median or 0.0)


def _shown(text: str) -> str:
    return repr(_short(text))


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "..."
