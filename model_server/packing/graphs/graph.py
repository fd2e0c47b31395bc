"""The ONNX graph of an estimator, as skl2onnx writes it, but for trees."""

import copy
import warnings
from typing import Any

from skl2onnx import convert_sklearn
from skl2onnx._supported_operators import sklearn_operator_name_map
from skl2onnx.common._registration import get_converter
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import VotingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection._search import BaseSearchCV
from sklearn.pipeline import Pipeline
from sklearn.semi_supervised import SelfTrainingClassifier

from model_server.model.manifest import Feature
from model_server.packing.graphs import tree_ensemble
from model_server.packing.graphs.conversions import by_type
from model_server.packing.graphs.operators import converters, declare_types

NUMBERS = {"float32": FloatTensorType, "float64": DoubleTensorType}
"""The types of a graph's inputs, by their precision."""

_TEXTS = ("category", "text")


def graph(estimator: Any, features: tuple[Feature, ...], precision: str) -> bytes:
    """Convert a fitted estimator.

    Parameters
    ----------
    estimator : object
    features : tuple of Feature
        The graph reads each of them under its name, or one matrix ``X``.
    precision : str
        Of `NUMBERS`.

    Returns
    -------
    model : bytes
        A serialized ONNX model, the same for the same estimator.

    Raises
    ------
    Exception
        Whatever the converter raises.
    """
    estimator, number = unwrapped(estimator), NUMBERS[precision]
    inputs = [("X", number([None, len(features)]))]
    if _reads_columns(estimator, features):
        inputs = [
            (feature.name, _tensor(feature, number)([None, feature.length or 1]))
            for feature in features
        ]
    conversions = by_type()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = convert_sklearn(
            estimator,
            name="model",
            initial_types=inputs,
            options=_options(estimator),
            custom_conversion_functions=converters(conversions),
            custom_shape_calculators=dict.fromkeys(conversions, declare_types),
        )
    for node, feature in zip(model.graph.input, features, strict=False):
        if feature.tokens is not None:  # as many as a text has; one, as far as skl2onnx knows
            node.type.tensor_type.shape.dim[1].Clear()
    opsets = {opset.domain: opset.version for opset in model.opset_import}
    if any(node.op_type == "TreeEnsemble" for node in model.graph.node):
        opsets["ai.onnx.ml"] = tree_ensemble.OPSET
    del model.opset_import[:]
    for domain in sorted(opsets):  # the converter has them from a set
        model.opset_import.add(domain=domain, version=opsets[domain])
    return bytes(model.SerializeToString(deterministic=True))


def unwrapped(estimator: Any) -> Any:
    """Return what predicts in an estimator: of a search its best, of what is frozen the inside.

    Nothing is changed or fitted; a pipeline is made anew of what its steps hold.
    """
    if isinstance(estimator, Pipeline):
        return Pipeline([(name, unwrapped(step)) for name, step in estimator.steps])
    if isinstance(estimator, FrozenEstimator):
        return unwrapped(estimator.estimator)
    if isinstance(estimator, BaseSearchCV):
        return unwrapped(estimator.best_estimator_)
    if isinstance(estimator, SelfTrainingClassifier):
        return unwrapped(estimator.estimator_)
    if isinstance(estimator, VotingClassifier):  # what its `transform` gives is not asked for
        return copy.copy(estimator).set_params(flatten_transform=False)
    return estimator


def _options(estimator: Any) -> dict[int, dict[str, bool]]:
    """Have a classifier's probabilities as a matrix, not as a dictionary a row."""
    last = estimator
    while isinstance(last, Pipeline):
        last = last.steps[-1][1]
    alias = sklearn_operator_name_map.get(type(last))
    allowed = (get_converter(alias).get_allowed_options() if alias else None) or ()
    return {id(last): {"zipmap": False} if "zipmap" in allowed else {}}


def _tensor(feature: Feature, number: Any) -> Any:
    """Return the type of a feature's input.

    Raises
    ------
    TypeError
        If graphs have none for it.
    """
    labels = all(isinstance(label, str) for label in feature.categories)
    if feature.type == "datetime" or not labels:
        raise TypeError(f"{feature.name!r} is a {feature.type} that no graph reads")
    return StringTensorType if feature.type in _TEXTS else number


def _reads_columns(estimator: Any, features: tuple[Feature, ...]) -> bool:
    """Whether it tells its inputs apart by name, or reads texts."""
    if any(feature.type in _TEXTS for feature in features):
        return True
    parts = (estimator, *estimator.get_params().values())
    named = hasattr(estimator, "feature_names_in_")
    return named and any(isinstance(part, ColumnTransformer) for part in parts)
