"""What computes the answers, as those see it who ask."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy.typing as npt

from model_server.model.columns import Instances
from model_server.model.directory import ModelDirectory
from model_server.model.manifest import PREDICTION, Method, Output
from model_server.model.outputs import Answers


class Runtime(Protocol):
    """Something that predicts.

    Attributes
    ----------
    name : str
    concurrency : int
        How many calls of `predict` at the same time get more done than one after the other.
    merges : bool
        Whether the rows of several requests may be predicted in one call, on the event loop.
    unpickles : bool
        Whether loading it may run code out of its file.
    narrow : frozenset of str
        The features whose numbers it reads as float32.
    """

    name: str
    concurrency: int
    merges: bool
    unpickles: bool
    narrow: frozenset[str] = frozenset()

    def answer(self, X: Instances, names: Sequence[str]) -> Answers:
        """Return some of the model's outputs.

        Parameters
        ----------
        X : ndarray of shape (n_rows, n_features) or (n_rows,)
            As `Columns` has them.
        names : sequence of str
            Those of the outputs.

        Returns
        -------
        dict of str to ndarray of shape (n_rows, *output.shape)
            In the order of `names`; float64, int64, bool, or texts.
        """
        ...

    def predict(self, X: Instances) -> npt.NDArray[Any]:
        """Return the predictions alone, of shape (n_rows, ...)."""
        return self.answer(X, (PREDICTION,))[PREDICTION]


class Estimator(Runtime, Protocol):
    """A runtime of an estimator, which may know more than its manifest.

    Attributes
    ----------
    classes : list
        What a classifier tells apart, in its own order.
    offered : dict of str to str
        The methods that it answers by, under the names of the outputs.
    """

    classes: list[Any]
    offered: dict[str, Method]


EstimatorLoader = Callable[[ModelDirectory, Sequence[Output] | None], Estimator]
"""Makes the runtime of a checked directory's estimator, which gives these outputs."""
