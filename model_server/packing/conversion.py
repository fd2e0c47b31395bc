"""Conversion to ONNX, kept only where ONNX Runtime gives the estimator's own answers."""

import contextlib
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
import numpy.typing as npt

from model_server.errors import first_line
from model_server.model.columns import Instances
from model_server.model.estimator_runtime import EstimatorRuntime
from model_server.model.manifest import (
    PREDICTION,
    Container,
    Conversion,
    Feature,
    Output,
    Tolerance,
)
from model_server.model.onnx_runtime import OnnxRuntime
from model_server.model.outputs import Answers, tried
from model_server.packing.graphs.forests import rounds_inputs
from model_server.packing.graphs.graph import NUMBERS, graph, unwrapped
from model_server.packing.inside import tokenized
from model_server.packing.probes import blocks
from model_server.packing.time_limit import time_limit

log = logging.getLogger("model_server")

LIMIT_S = 120.0
"""Of a conversion, and of the answers of its graph to the rows that are compared."""

EXACT, CLOSE = 1e-9, 1e-6
"""Of a prediction, and of the range of all of them: for doubles, and where float32 is all."""


@dataclass(frozen=True)
class Wanted:
    """What a graph is to give.

    Attributes
    ----------
    outputs : tuple of str
        Beside the predictions.
    tolerance : float
        What its numbers may be off by, of themselves and of the range of all.
    """

    outputs: tuple[str, ...] = ()
    tolerance: float = CLOSE


@dataclass(frozen=True)
class Converted:
    """What has become of a conversion.

    Attributes
    ----------
    graph : bytes or None
        A serialized ONNX model, if there is one that agrees.
    features : tuple of Feature
        How it reads them.
    outputs : tuple of Output
        What it gives in its order, or the estimator, if there is none.
    conversion : Conversion
        What was compared, or why there is no graph.
    tolerance : Tolerance
        Within which the predictions agreed; 0 for labels.
    """

    graph: bytes | None
    features: tuple[Feature, ...]
    outputs: tuple[Output, ...]
    conversion: Conversion
    tolerance: Tolerance


def convert(
    estimator: Any,
    features: tuple[Feature, ...],
    X: Instances,
    container: Container | None = None,
    wanted: Wanted | None = None,
) -> Converted:
    """Convert a fitted estimator, in the precision that it computes in if that can be.

    Parameters
    ----------
    estimator : object
        Fitted.
    features : tuple of Feature
    X : ndarray of shape (n_rows, n_features) or (n_rows,)
        Rows that it answers, as `Columns` has them.
    container : str, optional
        What it was fitted on; by default what it tells.
    wanted : Wanted, optional

    Returns
    -------
    Converted
        With the first graph that ONNX Runtime loads and that agrees on every row of
        `model_server.packing.probes`: labels are the same, and numbers and probabilities within
        `EXACT`, or else within what is wanted.

    Raises
    ------
    Exception
        Whatever keeps the estimator from answering the rows.
    """
    wanted = wanted or Wanted()
    runtime = EstimatorRuntime(estimator, features, container=container)
    outputs, answers = tried(partial(runtime.answer, X), runtime.offered, runtime.classes)
    compared = _compared(outputs)
    made_up = blocks(estimator, features, X)
    asked = cache(lambda: _asked(runtime, answers, compared, X, made_up))
    close, reasons, n_compared = None, [], len(X)
    for precision in sorted(NUMBERS, reverse=not rounds_inputs(unwrapped(estimator))):
        log.info("converting to a graph in %s", precision)
        try:
            with time_limit(LIMIT_S, "the conversion"):
                read = tokenized(estimator, features)
                found = _Graph(graph(estimator, read, precision), read, compared)
            if missing := [name for name in wanted.outputs if name not in found.names]:
                raise LookupError(f"a graph gives no {missing[0]}")
            rows, expected = asked()
            n_compared = len(rows)
            log.info("comparing %d rows", n_compared)
            with time_limit(LIMIT_S, "the comparison"):
                actual = found.answer(rows, expected)
        except Exception as error:  # noqa: BLE001 - a converter may raise anything
            reasons.append(" ".join(first_line(error).split()))
            continue
        if not expected.differ(actual, EXACT).any():
            return found.converted(actual, expected, EXACT)
        n_differ = np.count_nonzero(expected.differ(actual, wanted.tolerance))
        if not n_differ and close is None:
            close = found.converted(actual, expected, wanted.tolerance)
        reasons.append(
            f"in {precision} {n_differ} of {n_compared} predictions differ from the estimator's"
            f"{expected.by(actual)}"
        )
    if close is not None:
        return close
    reason = "; ".join(dict.fromkeys(reasons))
    conversion = Conversion(converted=False, reason=reason, rows_compared=n_compared)
    tolerance = Expected(answers, len(X)).tolerance(CLOSE)
    return Converted(None, features, outputs, conversion, tolerance)


@dataclass(frozen=True)
class Expected:
    """What the estimator answers: to the sample's rows first, and then to those that are made up.

    Attributes
    ----------
    answers : dict of str to ndarray of shape (n_rows, ...)
    n_sample : int
    """

    answers: Answers
    n_sample: int

    def differ(self, actual: Answers, relative: float) -> npt.NDArray[np.bool_]:
        """Tell of each row whether it comes out otherwise."""
        n_rows = len(self.answers[PREDICTION])
        differ = np.zeros(n_rows, np.bool_)
        for name, values in actual.items():
            differ |= self.off(name, values, relative).reshape(n_rows, -1).any(axis=1)
        return differ

    def off(self, name: str, actual: npt.NDArray[Any], relative: float) -> npt.NDArray[np.bool_]:
        """Tell of each value of an output whether it is another.

        Numbers may be off by a share of themselves and of the range of the sample's, probabilities
        by that share of 1.
        """
        expected = self.answers[name]
        if expected.dtype.kind != "f":
            return np.asarray(actual != expected)
        scale = 1.0 if name == "probability" else np.abs(expected) + self._range(name)
        with np.errstate(invalid="ignore"):
            close = np.abs(actual - expected) <= relative * scale
        close |= actual == expected
        both_missing = np.isnan(actual) & np.isnan(expected)
        return np.asarray(~(close | both_missing))

    def by(self, actual: Answers) -> str:
        """Tell how far off the predictions are at most, and in which row, if they are numbers."""
        expected, values = self.answers[PREDICTION], actual[PREDICTION]
        if expected.dtype.kind != "f":
            return ""
        off = np.abs(values - expected).reshape(len(expected), -1).max(axis=1)
        row = int(np.nanargmax(np.where(np.isfinite(off), off, -1.0)))
        whose = f"row {row + 1} of the sample" if row < self.n_sample else "a row that was made up"
        return f", by at most {off[row]:.2g}, in {whose}"

    def tolerance(self, relative: float) -> Tolerance:
        """Return what the predictions may be off by; nothing where they are labels."""
        labels = "probability" in self.answers or "decision" in self.answers
        if labels or self.answers[PREDICTION].dtype.kind != "f":
            return Tolerance()
        return Tolerance(relative=relative, absolute=relative * self._range(PREDICTION))

    def _range(self, name: str) -> float:
        values = self.answers[name][: self.n_sample]
        finite = values[np.isfinite(values)]
        return float(np.ptp(finite)) if finite.size else 0.0


def _asked(
    runtime: EstimatorRuntime,
    answers: Answers,
    compared: Sequence[Output],
    X: Instances,
    made_up: Iterable[Instances],
) -> tuple[Instances, Expected]:
    """Add the made-up rows that the estimator answers, which it may rightly refuse to.

    An estimator that takes long is asked no more of them than it answers within `LIMIT_S`.
    """
    names = [output.name for output in compared]
    parts = [(X, {name: answers[name] for name in names})]
    with contextlib.suppress(TimeoutError), time_limit(LIMIT_S, "the estimator"):
        for block in made_up:
            try:
                parts.append((block, runtime.answer(block, names)))
            except TimeoutError:
                raise
            except Exception:  # noqa: BLE001, S112
                continue
    rows = np.concatenate([block for block, _ in parts])
    joined = {name: np.concatenate([part[name] for _, part in parts]) for name in names}
    return rows, Expected(joined, len(X))


def _compared(outputs: tuple[Output, ...]) -> list[Output]:
    """Return the outputs that graphs have: the predictions, and what labels are chosen by.

    These are a classifier's probabilities, or the decision values of what has none.
    """
    by_name = {output.name: output for output in outputs}
    second = "probability" if "probability" in by_name else "decision"
    return [by_name[name] for name in (PREDICTION, second) if name in by_name]


class _Graph:
    """A graph that may agree."""

    def __init__(
        self, model: bytes, features: tuple[Feature, ...], outputs: Sequence[Output]
    ) -> None:
        self._model = model
        self._features = features
        self._outputs = list(outputs)
        self._runtime = OnnxRuntime(model, features, self._outputs)
        del self._outputs[self._runtime.n_outputs :]

    @property
    def names(self) -> list[str]:
        """Those of its outputs."""
        return [output.name for output in self._outputs]

    def answer(self, X: Instances, expected: Expected) -> Answers:
        """Ask it; of several targets, what comes in another way is left out."""
        answers = self._runtime.answer(X, (PREDICTION,))
        for output in self._outputs[1:]:
            try:
                answers |= self._runtime.answer(X, (output.name,))
            except ValueError:  # another shape
                if output.names:
                    raise
                self._outputs.remove(output)
        name = "decision"
        if name in answers and expected.off(name, answers[name], CLOSE).any():
            del answers[name]
            self._outputs.pop()
        return answers

    def converted(self, actual: Answers, expected: Expected, relative: float) -> Converted:
        """Return it as one that agreed."""
        y, right = actual[PREDICTION], expected.answers[PREDICTION]
        largest = 0.0
        if right.dtype.kind == "f":
            finite = np.isfinite(right)
            largest = float(np.abs(y[finite] - right[finite]).max(initial=0.0))
        conversion = Conversion(
            converted=True, rows_compared=len(right), largest_difference=largest
        )
        tolerance = expected.tolerance(relative)
        return Converted(self._model, self._features, tuple(self._outputs), conversion, tolerance)
