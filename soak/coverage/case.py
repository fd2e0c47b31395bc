"""One model to be packed, with rows that it has not seen."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from model_server.model.manifest import Method
from model_server.model.outputs import ask

Container = Literal["array", "frame", "series"]


@dataclass(frozen=True)
class Case:
    """A fitted estimator, and what it is asked.

    Attributes
    ----------
    name : str
    estimator : object
    container : str
        What it was fitted on.
    sample, held : DataFrame
        Rows of the training, and others: some not seen, some odd.
    """

    name: str
    estimator: Any
    container: Container
    sample: pd.DataFrame
    held: pd.DataFrame

    def expected(self, method: Method, rows: pd.DataFrame) -> npt.NDArray[Any]:
        """Return what the estimator itself answers, given what it was fitted on."""
        return ask(self.estimator, method, given(self.container, rows))

    def answered(self) -> pd.DataFrame:
        """Return those of the held rows that the estimator answers itself, each alone."""
        method = next(
            each
            for each in ("predict", "transform", "score_samples")
            if hasattr(self.estimator, each)
        )
        kept = []
        for place in range(len(self.held)):
            try:
                self.expected(method, self.held.iloc[[place]])  # type: ignore[arg-type]
            except Exception:  # noqa: BLE001 - it refuses such a row
                continue
            kept.append(place)
        return self.held.iloc[kept].reset_index(drop=True)


def given(container: Container, rows: pd.DataFrame) -> Any:
    """Return rows in the container of the fit."""
    if container == "array":
        return rows.to_numpy()
    return rows.iloc[:, 0].to_numpy() if container == "series" else rows


def split(
    name: str, estimator: Any, frame: pd.DataFrame, y: Any, container: Container = "frame"
) -> Case:
    """Fit an estimator on seven of ten rows, and hold out the others and an odd row a column."""
    order = np.random.default_rng(2).permutation(len(frame))
    cut = len(frame) * 7 // 10
    seen, others = frame.iloc[order[:cut]], frame.iloc[order[cut:]][:20]
    truth = None if y is None else np.asarray(y)[order[:cut]]
    estimator.fit(given(container, seen), truth)
    held = pd.concat([others, *_odd(others)], ignore_index=True).astype(frame.dtypes)
    return Case(name, estimator, container, seen.reset_index(drop=True), held)


def _odd(rows: pd.DataFrame) -> list[pd.DataFrame]:
    """Return a row for each column with a value missing, or zero, or never seen."""
    odd = []
    for column in rows.columns:
        kind = rows[column].dtype.kind
        for value in {"f": (np.nan, 0.0, 1e6), "O": (np.nan, "never seen")}.get(kind, ()):
            row = rows.iloc[[0]].copy()
            if isinstance(row[column].iloc[0], str) or kind == "f":
                row[column] = pd.Series([value], index=row.index, dtype=rows[column].dtype)
                odd.append(row)
    return odd
