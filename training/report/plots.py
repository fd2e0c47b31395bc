"""The report's plots; each function returns inline SVG."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from model_server.model.manifest import Feature, Interval
from training.comparison import Comparison
from training.report import svg
from training.report.learning_curve import LearningCurve
from training.report.number_format import number, tick
from training.report.partial_dependence import Effect
from training.report.svg import ACCENT, INK, MUTED, SMALL, WARM

Vector = npt.NDArray[np.float64]


def comparison(found: Comparison, score: str, name: str, unit: str) -> str:
    """Plot each candidate's mean score, its standard deviation, and every fold."""
    shown = [*found.results, found.baseline]
    label = f"{name} of each candidate over the folds: " + ", ".join(
        f"{each.candidate.name} {number(each.mean(score))}" for each in shown
    )
    with svg.plot(label, (4.3, 2.5)) as plot:
        for row, each in enumerate(shown):
            colour = ACCENT if each is found.chosen else MUTED
            values = each.scores[score]
            _points(plot.axes, values, np.full(len(values), row + 0.28), colour)
            plot.axes.errorbar(values.mean(), row, xerr=values.std(ddof=1), fmt="o", c=colour, ms=6)
        names = [each.candidate.name.partition(":")[0] for each in shown]
        plot.axes.set_yticks(range(len(shown)), names)
        plot.axes.invert_yaxis()
        plot.axes.grid(visible=False, axis="y")
        plot.axes.set_xlabel(name)
        _units(plot.axes.xaxis, unit)
    return plot.svg


def predicted_actual(y: Vector, predicted: Vector, unit: str, cap: float | None) -> str:
    """Plot the truth over the out-of-fold prediction, with the line on which they are equal."""
    label = "Actual values over predicted ones; the points lie around the line of equality."
    with svg.plot(label) as plot:
        ends = [min(y.min(), predicted.min()), max(y.max(), predicted.max())]
        plot.axes.plot(ends, ends, c=MUTED, lw=1, ls="--")
        _points(plot.axes, predicted, y, ACCENT)
        if cap is not None:
            capped = y >= cap
            _points(plot.axes, predicted[capped], y[capped], WARM)
            plot.axes.axhline(cap, c=WARM, lw=0.8)
            where = (ends[0], cap)
            plot.axes.annotate(
                "recorded values stop here",
                where,
                xytext=(2, -4),
                textcoords="offset points",
                color=WARM,
                va="top",
            )
        plot.axes.set_xlabel("predicted")
        plot.axes.set_ylabel("actual")
        _units(plot.axes.xaxis, unit)
        _units(plot.axes.yaxis, unit)
    return plot.svg


def residuals(y: Vector, predicted: Vector, interval: Interval, unit: str) -> str:
    """Plot truth less prediction over the prediction, with the interval as a band."""
    label = "Residuals over predicted values, with the band that holds nine in ten of them."
    with svg.plot(label) as plot:
        plot.axes.axhspan(interval.lower, interval.upper, color=ACCENT, alpha=0.12, lw=0)
        plot.axes.axhline(0, c=MUTED, lw=1, ls="--")
        inside = (y - predicted >= interval.lower) & (y - predicted <= interval.upper)
        _points(plot.axes, predicted[inside], (y - predicted)[inside], ACCENT)
        _points(plot.axes, predicted[~inside], (y - predicted)[~inside], WARM)
        plot.axes.set_xlabel("predicted")
        plot.axes.set_ylabel("actual less predicted")
        _units(plot.axes.xaxis, unit)
        _units(plot.axes.yaxis, unit)
    return plot.svg


def confusion(counts: npt.NDArray[np.intp], classes: Sequence[object]) -> str:
    """Plot how often each class was taken for which."""
    label = "Confusion matrix: rows are actual classes, columns are predicted ones."
    with svg.plot(label, (4.3, 3.6)) as plot:
        shares = counts / counts.sum(axis=1, keepdims=True)
        for (row, column), share in np.ndenumerate(shares):
            colour = ACCENT if row == column else WARM
            box = (column - 0.48, row - 0.48)
            plot.axes.add_patch(_rectangle(box, colour, 0.1 + 0.6 * share if share else 0.04))
            plot.axes.text(column, row, str(counts[row, column]), ha="center", va="center")
        ticks = range(len(classes))
        plot.axes.set_xticks(ticks, classes, rotation=45 if len(classes) > 4 else 0)
        plot.axes.set_yticks(ticks, classes)
        plot.axes.set(xlim=(-0.5, len(classes) - 0.5), ylim=(len(classes) - 0.5, -0.5))
        plot.axes.grid(visible=False)
        plot.axes.set_xlabel("predicted")
        plot.axes.set_ylabel("actual")
    return plot.svg


def learning(curve: LearningCurve, name: str, unit: str) -> str:
    """Plot the score on rows fitted and on rows not seen over the number of rows."""
    label = (
        f"{name} over the number of rows fitted: on rows not seen it goes from "
        f"{number(curve.tested[0].mean())} to {number(curve.tested[-1].mean())}."
    )
    with svg.plot(label) as plot:
        for values, colour, text, above in (
            (curve.tested, ACCENT, "rows not seen", 1),
            (curve.fitted, MUTED, "rows fitted", -1),
        ):
            mean, std = values.mean(axis=1), values.std(axis=1, ddof=1)
            plot.axes.fill_between(
                curve.rows, mean - std, mean + std, color=colour, alpha=0.15, lw=0
            )
            plot.axes.plot(curve.rows, mean, c=colour, marker="o", ms=4)
            plot.axes.annotate(
                text,
                (curve.rows[-1], mean[-1]),
                xytext=(0, 7 * above),
                textcoords="offset points",
                color=colour,
                ha="right",
                va="bottom" if above > 0 else "top",
            )
        plot.axes.set_ylim(bottom=0)
        plot.axes.set_xlabel("rows to learn from")
        plot.axes.set_ylabel(name)
        _units(plot.axes.yaxis, unit)
    return plot.svg


def curve(effect: Effect, X: Vector, y: Vector, unit: str) -> str:
    """Plot the prediction over the only feature, with the data behind it."""
    feature = effect.feature
    label = f"Predicted value over {feature.name}, with the training rows as points."
    with svg.plot(label, (4.7, 3.2)) as plot:
        _points(plot.axes, X, y, MUTED)
        plot.axes.plot(effect.values, effect.mean, c=ACCENT, lw=2.2)
        plot.axes.set_xlabel(_titled(feature))
        _units(plot.axes.yaxis, unit)
    return plot.svg


def effect(effect: Effect, seen: Vector, limits: tuple[float, float], unit: str) -> str:
    """Plot the mean prediction over one feature, with single rows behind it and a rug below."""
    feature = effect.feature
    label = (
        f"Mean prediction over {feature.name}: from {number(effect.mean.min())} "
        f"to {number(effect.mean.max())}."
    )
    with svg.plot(label, SMALL) as plot:
        if feature.type == "category":
            plot.axes.plot(range(len(effect.mean)), effect.mean, "o", c=ACCENT)
            plot.axes.set_xticks(range(len(effect.mean)), effect.values, rotation=30, ha="right")
        else:
            plot.axes.plot(effect.values, effect.rows.T, c=MUTED, lw=0.5, alpha=0.35)
            plot.axes.plot(effect.values, effect.mean, c=ACCENT, lw=2)
            rug = np.unique(np.quantile(seen, np.linspace(0, 1, 60)))
            plot.axes.plot(rug, np.full(len(rug), limits[0]), "|", c=INK, ms=5, mew=0.6, alpha=0.6)
            few = np.unique(seen)
            plot.axes.xaxis.set_major_locator(_locator(3, few if len(few) <= 3 else None))
        plot.axes.set_ylim(limits)
        plot.axes.yaxis.set_major_locator(_locator(4))
        _units(plot.axes.yaxis, unit)
    return plot.svg


def _points(axes: Any, x: Vector, y: Vector, colour: str) -> None:
    axes.plot(x, y, "o", c=colour, ms=3, mew=0, alpha=0.45)


def _rectangle(corner: tuple[float, float], colour: str, alpha: float) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle(corner, 0.96, 0.96, color=colour, alpha=alpha, lw=0)


def _locator(count: int, places: Vector | None = None) -> Any:
    from matplotlib.ticker import FixedLocator, MaxNLocator

    return MaxNLocator(count) if places is None else FixedLocator(places.tolist())


def _units(axis: Any, unit: str) -> None:
    axis.set_major_formatter(lambda value, _: tick(value, unit))


def _titled(feature: Feature) -> str:
    return feature.description or feature.name
