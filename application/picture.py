"""Where a prediction sits, as the geometry of a small drawing; the template makes it SVG.

Models of the built-in data are drawn among its 506 areas, a dot an area; others on a line from the
smallest to the largest value that was seen.
"""

import functools
import math
from collections import Counter
from dataclasses import dataclass

from application import boston
from application.answer import Answer
from application.form import Form
from application.language import Language
from application.model import Target

WIDTH = 360
MARGIN = 18
BIN = 1000
DOT = 5.5
LINE_HEIGHT = 24


@dataclass(frozen=True)
class Tick:
    """A place on the axis, with its text."""

    x: float
    text: str


@dataclass(frozen=True)
class Picture:
    """A drawing of so many units; a path of dots is drawn with round ends of no length."""

    height: float
    ticks: list[Tick]
    x: float
    low_x: float | None
    high_x: float | None
    alike: str
    others: str
    caption: str


class _Axis:
    def __init__(self, minimum: float, maximum: float) -> None:
        self._minimum = minimum
        self._scale = (WIDTH - 2 * MARGIN) / (maximum - minimum)
        self._maximum = maximum

    def x(self, value: float) -> float:
        inside = min(max(value, self._minimum), self._maximum)
        return round(MARGIN + (inside - self._minimum) * self._scale, 1)


def draw(form: Form, answer: Answer, language: Language) -> Picture | None:
    """Return the drawing of a prediction; None where the target has no range."""
    target = form.model.target
    if isinstance(answer.value, str) or target.range is None:
        return None
    minimum, maximum = target.range
    alike, others, caption, height = "", "", "", float(LINE_HEIGHT)
    axis = _Axis(minimum, maximum)
    if boston.fits(form.model):
        axis = _Axis(minimum, maximum + BIN)
        height = _HEIGHT
        alike, others, caption = _dots(axis, _rooms(form), language)
    return Picture(
        height=height,
        ticks=[Tick(axis.x(value), text) for value, text in _texts(target, language)],
        x=axis.x(answer.value),
        low_x=None if answer.low is None else axis.x(answer.low),
        high_x=None if answer.high is None else axis.x(answer.high),
        alike=alike,
        others=others,
        caption=caption,
    )


def _rooms(form: Form) -> float | None:
    if form.single is None or form.values is None or not isinstance(form.values[0], float):
        return None
    return form.values[0]


def _dots(axis: _Axis, rooms: float | None, language: Language) -> tuple[str, str, str]:
    """Stack a dot for each area, those with about as many rooms below."""
    like = [] if rooms is None else boston.AREAS.like(rooms)
    alike = Counter(map(_column, like))
    caption = f"Each dot is one of the {len(boston.AREAS.all)} areas."
    if rooms is not None and like:
        low, high = (
            language.number(rooms + offset, digits=3)
            for offset in (-boston.SAME_ROOMS, boston.SAME_ROOMS)
        )
        caption += f" The strong ones, {len(like)}, have {low} to {high} rooms."
    return _path(axis, alike, Counter()), _path(axis, _COLUMNS - alike, alike), caption


def _path(axis: _Axis, columns: Counter[int], below: Counter[int]) -> str:
    """Draw so many dots in each column, on those that are below."""
    return "".join(
        f"M{axis.x((column + 0.5) * BIN):g} {_HEIGHT - (below[column] + 0.5) * DOT:g}h0"
        + f"m0-{DOT}h0" * (n_dots - 1)
        for column, n_dots in columns.items()
    )


def _column(area: boston.Area) -> int:
    return int(area.value // BIN)


@functools.lru_cache(maxsize=256)
def _texts(target: Target, language: Language) -> list[tuple[float, str]]:
    """Return the round values of an axis with their texts."""
    values = _round_values(target.minimum or 0, target.maximum or 0)
    return [(value, language.amount(value, target.unit)) for value in values]


def _round_values(minimum: float, maximum: float) -> list[float]:
    """Return about five round values for an axis."""
    rough = (maximum - minimum) / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = min((power * factor for factor in (1, 2, 5, 10)), key=lambda size: abs(size - rough))
    first = -(-minimum // step) * step
    return [first + step * index for index in range(int((maximum - first) / step) + 1)]


_COLUMNS = Counter(map(_column, boston.AREAS.all))
_HEIGHT = DOT * max(_COLUMNS.values())
