"""Rows and predictions of plain numbers: how most bodies are, and the fast way in and out.

Each decoder raises `msgspec.MsgspecError`, or RecursionError, where there is aught else.
"""

import functools
import itertools
from typing import Any, Generic, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt
import orjson

from model_server.model.columns import Matrix

Row = TypeVar("Row")


class _Request(msgspec.Struct, Generic[Row]):
    instances: list[Row]


@functools.lru_cache(maxsize=128)
def request(n_features: int) -> msgspec.json.Decoder[Any]:
    """Return what decodes ``{"instances": [[...], ...]}``."""
    return msgspec.json.Decoder(_Request[_row(n_features)])  # type: ignore[misc]


@functools.lru_cache(maxsize=128)
def table(n_features: int) -> msgspec.json.Decoder[Any]:
    """Return what decodes ``[[...], ...]``."""
    return msgspec.json.Decoder(list[_row(n_features)])  # type: ignore[misc]


@functools.lru_cache(maxsize=128)
def line(n_features: int) -> msgspec.json.Decoder[Any]:
    """Return what decodes ``[...]``."""
    return msgspec.json.Decoder(_row(n_features))


def matrix(rows: list[tuple[float, ...]], n_features: int) -> Matrix:
    """Return decoded rows as ``X`` of shape (n_rows, n_features)."""
    cells = itertools.chain.from_iterable(rows)
    return np.fromiter(cells, np.float64, len(rows) * n_features).reshape(-1, n_features)


def _row(n_features: int) -> Any:
    return tuple[(float,) * n_features]  # type: ignore[misc]


def are_numbers(y: npt.NDArray[Any]) -> bool:
    """Tell whether predictions are one number each."""
    return y.ndim == 1 and y.dtype.kind in "fi"


def lines(y: npt.NDArray[Any]) -> bytes:
    """Write such predictions, one a line."""
    return orjson.dumps(y.tolist())[1:-1].replace(b",", b"\n") + b"\n"
