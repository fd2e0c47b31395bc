"""Every conversion that is written here: each stands in for the one that skl2onnx has, if any."""

import contextlib
import sys
from typing import Any

from skl2onnx._parse import sklearn_classifier_list

from model_server.packing.graphs import (
    bayes,
    calibration,
    catboost,
    composites,
    curves,
    encoders,
    estimators,
    forests,
    gaussian_processes,
    lightgbm,
    linear_classifiers,
    neighbours,
    preprocessing,
    projections,
    support_vectors,
    texts,
    xgboost,
)
from model_server.packing.graphs.operators import Conversion
from model_server.packing.graphs.tree_ensemble import Tree

_OTHERS = (catboost, lightgbm, xgboost)

_BY_TYPE: dict[type, Conversion] = {
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
    **projections.BY_TYPE,
    **support_vectors.BY_TYPE,
    **texts.BY_TYPE,
    **forests.BY_TYPE,
}


def by_type() -> dict[type, Conversion]:
    """Return what adds an estimator's operators, by its type.

    Of other libraries those are among them that are imported, as they are where an estimator is.
    """
    others = {
        kind: conversion
        for module in _OTHERS
        for name, conversion in module.BY_NAME.items()
        if (kind := getattr(sys.modules.get(module.LIBRARY), name, None))
    }
    for kind in others:  # CatBoost's are no ClassifierMixin
        if kind.__name__.endswith("Classifier") and kind not in sklearn_classifier_list:
            sklearn_classifier_list.append(kind)
    return {**_BY_TYPE, **others}


def splits(estimator: Any) -> list[Tree]:
    """Return the trees of an estimator of another library that are converted here."""
    for module in _OTHERS:
        if type(estimator).__module__.partition(".")[0] == module.LIBRARY:
            with contextlib.suppress(NotImplementedError, AttributeError):
                return list(module.trees(estimator))
    return []
