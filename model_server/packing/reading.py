"""How an estimator reads rows."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from model_server.model.columns import Columns, Instances
from model_server.model.estimator_runtime import EstimatorRuntime
from model_server.model.manifest import Container, Feature


@dataclass(frozen=True)
class Reading:
    """How an estimator reads rows, and some of them.

    Attributes
    ----------
    features : tuple of Feature
    container : str or None
        What it was fitted on; what it tells of itself if None.
    X : ndarray of shape (n_rows, n_features) or (n_rows,)
        Rows that it answers, as `Columns` has them.
    """

    features: tuple[Feature, ...]
    container: Container | None
    X: Instances

    def predict(self, estimator: Any, X: Instances) -> npt.NDArray[Any]:
        """Return what the estimator predicts for such rows, of shape (n_rows, ...).

        Raises
        ------
        Exception
            Whatever it raises.
        """
        runtime = EstimatorRuntime(estimator, self.features, container=self.container)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return runtime.predict(X)

    def read(self, rows: list[list[Any]]) -> Instances:
        """Read rows as clients write them.

        Raises
        ------
        BadRequest
        """
        return Columns(self.features).read(rows)
