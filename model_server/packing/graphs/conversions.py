"""Every conversion that is written here: each stands in for the one that skl2onnx has, if any."""

from model_server.packing.graphs import (
    bayes,
    calibration,
    composites,
    curves,
    encoders,
    estimators,
    forests,
    gaussian_processes,
    linear_classifiers,
    neighbours,
    preprocessing,
    support_vectors,
    texts,
)
from model_server.packing.graphs.operators import Conversion

BY_TYPE: dict[type, Conversion] = {
    **bayes.BY_TYPE,
    **calibration.BY_TYPE,
    **composites.BY_TYPE,
    **curves.BY_TYPE,
    **encoders.BY_TYPE,
    **estimators.BY_TYPE,
    **gaussian_processes.BY_TYPE,
    **linear_classifiers.BY_TYPE,
    **neighbours.BY_TYPE,
    **preprocessing.BY_TYPE,
    **support_vectors.BY_TYPE,
    **texts.BY_TYPE,
    **forests.BY_TYPE,
}
"""What adds an estimator's operators, by its type."""
