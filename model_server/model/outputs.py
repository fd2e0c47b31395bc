"""What an estimator gives for each row, by name, and the method that it is asked by."""

import contextlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from model_server.model.manifest import PREDICTION, Label, Method, Output, Value

Answers = dict[str, npt.NDArray[Any]]
"""Arrays of shape (n_rows, *output.shape), by the outputs' names."""

_METHODS: tuple[tuple[str, Method], ...] = (
    ("probability", "predict_proba"),
    ("decision", "decision_function"),
    ("score", "score_samples"),
)
_PRIMARY: tuple[Method, ...] = ("predict", "transform", "score_samples")

_WIDEST: dict[str, type[np.generic]] = {"f": np.float64, "i": np.int64, "u": np.int64}

_DENSE_CELLS = 10_000_000
"""The most of a sparse answer that are written out."""


def offered(estimator: Any) -> dict[str, Method]:
    """Return the methods that a fitted estimator answers by, under the names of the outputs.

    Returns
    -------
    dict of str to str
        The prediction first; empty if there is nothing to ask.
    """
    primary = next((method for method in _PRIMARY if hasattr(estimator, method)), None)
    if primary is None:
        return {}
    found: dict[str, Method] = {PREDICTION: primary}
    if primary == "transform":
        return found
    found |= {
        name: method
        for name, method in _METHODS
        if method != primary and hasattr(estimator, method)
    }
    if primary == "predict" and "return_std" in inspect.signature(estimator.predict).parameters:
        found["std"] = "predict_std"
    return found


def ask(estimator: Any, method: Method, inputs: Any) -> npt.NDArray[Any]:
    """Return what an estimator gives for some rows.

    Of several targets with two classes each, the probabilities are those of the second ones.

    Returns
    -------
    ndarray of shape (n_rows, ...)

    Raises
    ------
    ValueError
        If it is sparse and too large to be written out, or no array.
    """
    if method == "predict_std":
        _, std = estimator.predict(inputs, return_std=True)
        return standard(std)
    values = getattr(estimator, method)(inputs)
    if isinstance(values, list) and method == "predict_proba":
        if any(each.shape[1] != 2 for each in values):
            raise ValueError("a target has more than two classes")
        values = np.column_stack([each[:, 1] for each in values])
    if hasattr(values, "toarray"):
        if values.shape[0] * values.shape[1] > _DENSE_CELLS:
            raise ValueError(
                f"{values.shape[0]} rows of {values.shape[1]} columns are too many to be written "
                "out; send fewer rows"
            )
        values = values.toarray()
    values = np.asarray(values)
    if method == "predict" and values.shape[1:] == (1,) and hasattr(estimator, "classes_"):
        values = values[:, 0]  # CatBoost has one label a row as a column
    return standard(values)


def standard(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return numbers in 64 bits, whichever the model has."""
    widest = _WIDEST.get(values.dtype.kind)
    return values if widest is None else values.astype(widest, copy=False)


def described(
    name: str, method: Method, values: npt.NDArray[Any], names: tuple[Label, ...] = ()
) -> Output:
    """Describe the output that gave values of shape (n_rows, ...), whose parts have these names."""
    kinds: dict[str, Any] = {"b": "boolean", "f": "number", "i": "integer", "u": "integer"}
    shape = values.shape[1:]
    return Output(
        name=name,
        method=method,
        type=kinds.get(values.dtype.kind, "text"),
        shape=shape,
        names=names if shape == (len(names),) and name != PREDICTION else (),
    )


def tried(
    answer: Callable[[tuple[str, ...]], Answers], methods: Mapping[str, Method], classes: list[Any]
) -> tuple[tuple[Output, ...], Answers]:
    """Ask for each output, and describe those that come.

    Parameters
    ----------
    answer : callable
        Gives the outputs of these names for some rows.
    methods : mapping of str to str
        What is offered, the prediction first.
    classes : list
        What a classifier tells apart.

    Raises
    ------
    Exception
        Whatever keeps the prediction from coming.
    """
    answers = answer((PREDICTION,))
    for name in methods:
        if name != PREDICTION:
            with contextlib.suppress(Exception):  # one that the estimator has not after all
                answers |= answer((name,))
    names = () if any(isinstance(each, list) for each in classes) else tuple(classes)
    return tuple(
        described(name, methods[name], values, names) for name, values in answers.items()
    ), answers


def told(values: npt.NDArray[Any]) -> tuple[Value, ...]:
    """Return values as a manifest holds them."""
    return tuple(_tuple(value) for value in values.tolist())


def _tuple(value: Any) -> Any:
    return tuple(map(_tuple, value)) if isinstance(value, list) else value
