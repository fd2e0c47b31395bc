"""The signature: what a model takes and what it gives, made once from its manifest.

Whoever reads rows, writes predictions or describes either asks it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from model_server.model.columns import Columns, Matrix
from model_server.model.manifest import Cell, Manifest, Target


@dataclass(frozen=True)
class Output:
    """What a model gives for each row.

    Attributes
    ----------
    target : Target
        Its name, unit and range; ``classes`` for a classifier.
    dtype : numpy.dtype
        float64 for a regressor; that of the classes for a classifier.
    shape : tuple of int
        That of one row's prediction: ``()`` for a number or a label.
    """

    target: Target
    dtype: np.dtype[Any]
    shape: tuple[int, ...] = ()


class Signature:
    """What a model takes and what it gives.

    Parameters
    ----------
    manifest : Manifest

    Attributes
    ----------
    columns : Columns
        The features, compiled for reading rows.
    output : Output
    golden_X : ndarray of shape (n_rows, n_features), float64
        Rows that a sound model predicts as the next says.
    golden_y : ndarray of shape (n_rows, *output.shape)
    """

    def __init__(self, manifest: Manifest) -> None:
        self.columns = Columns(manifest.features)
        self.golden_X: Matrix = self.columns.matrix(manifest.golden.instances)
        self.golden_y: npt.NDArray[Any] = np.array(manifest.golden.predictions)
        self.output = Output(manifest.target, self.golden_y.dtype, self.golden_y.shape[1:])

    def example(self) -> dict[str, Cell]:
        """Return a typical instance: the median of each number, the first of each category."""
        return {
            feature.name: feature.categories[0]
            if feature.type == "string"
            else feature.median or 0.0
            for feature in self.columns.features
        }
