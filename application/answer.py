"""A prediction in words."""

import dataclasses
import math
from dataclasses import dataclass

from application import boston
from application.form import Form
from application.language import Language
from application.model import Feature, Interval, Model

_DIGITS = 3
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


@dataclass(frozen=True)
class Answer:
    """A prediction as its page tells it.

    ``value`` is the endpoint's own number; the interval ends at ``low`` and ``high``; the texts are
    in the reader's locale, and empty where there is nothing to say.
    """

    value: float | str
    amount: str
    tries: int
    outside: str
    low: float | None = None
    high: float | None = None
    interval: str = ""
    place: str = ""


def tell(form: Form, value: float | str, tries: int, language: Language) -> Answer:
    """Return what to say of a prediction."""
    target = form.model.target
    outside = _outside(form, language)
    if isinstance(value, str) or target.choices:
        return Answer(value, str(value), tries, outside)
    low, high = _ends(form.model, value)
    largest = max(abs(value), abs(low), abs(high)) or 1
    decimals = _DIGITS - 1 - math.floor(math.log10(largest))
    amount, lowest, highest = (
        language.amount(round(float(number), decimals), target.unit, digits=12)
        for number in (value, low, high)
    )
    answer = Answer(value, amount, tries, outside, place=_place(form.model, value))
    if target.interval is None:
        return answer
    share = f"{_share(target.interval).capitalize()} such {_cases(form.model)}"
    return dataclasses.replace(
        answer, low=low, high=high, interval=f"{share} lie between {lowest} and {highest}."
    )


def _ends(model: Model, value: float) -> tuple[float, float]:
    interval = model.target.interval or Interval(coverage=0, lower=0, upper=0)
    low, high = value + interval.lower, value + interval.upper
    return (max(low, 0.0) if (model.target.minimum or -1) >= 0 else low), high


def _share(interval: Interval) -> str:
    tenths = interval.coverage * 10
    if math.isclose(tenths, round(tenths)):
        return f"{_NUMBERS[round(tenths)]} in ten"
    return f"{interval.coverage * 100:g} in a hundred"


def _cases(model: Model) -> str:
    return "areas" if boston.fits(model) else "cases"


def _place(model: Model, value: float) -> str:
    if not boston.fits(model):
        return ""
    return f"More than {boston.AREAS.below(value)} of the {len(boston.AREAS.all)} areas."


def _outside(form: Form, language: Language) -> str:
    """Say which values no row of the data had."""
    fields = form.outside()
    if not fields:
        return ""
    ranges = "; ".join(_range(field.feature, language) for field in fields)
    case = "area" if boston.fits(form.model) else "case"
    return (
        f"No such {case} was in the data, where the {ranges}. This number is a guess from the edge."
    )


def _range(feature: Feature, language: Language) -> str:
    low, high = (language.number(end or 0) for end in (feature.minimum, feature.maximum))
    return f"{feature.description or feature.name} goes from {low} to {high}"
