"""The operators that stand for one estimator in a graph."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from onnx import TensorProto, helper
from skl2onnx._supported_operators import sklearn_operator_name_map
from skl2onnx.common.data_types import DoubleTensorType, Int64TensorType, StringTensorType
from sklearn.base import is_classifier, is_outlier_detector

from model_server.packing import tree_ensemble
from model_server.packing.tree_ensemble import Floats, Tree

_ML = "ai.onnx.ml"
_ML_OPSET = 3
"""That the converter's library knows; the one of TreeEnsemble is told to it afterwards."""


class Operators:
    """The operators that stand for one estimator.

    Parameters
    ----------
    scope, operator, container
        What skl2onnx calls a converter with.
    """

    def __init__(self, scope: Any, operator: Any, container: Any) -> None:
        self.estimator = operator.raw_operator
        self.outputs = [output.full_name for output in operator.outputs]
        self.X = operator.inputs[0].full_name
        self._scope, self._operator, self._container = scope, operator, container

    def wants(self, option: str) -> bool:
        """Whether what is asked for is not the usual, as skl2onnx's options say."""
        return bool(self._container.get_options(self.estimator, {option: False}).get(option))

    def add(
        self, kind: str, *inputs: str, out: str | None = None, domain: str = "", **given: Any
    ) -> str:
        """Add an operator; return the name of its output."""
        output: str = out or self._scope.get_unique_variable_name(kind.lower())
        version = {"op_version": _ML_OPSET} if domain else {}
        name = self._scope.get_unique_operator_name(kind)
        self._container.add_node(
            kind, list(inputs), [output], op_domain=domain, name=name, **version, **given
        )
        return output

    def constant(self, values: Any) -> str:
        """Add what does not change; return its name."""
        values = np.asarray(values)
        name: str = self._scope.get_unique_variable_name("constant")
        if values.dtype.kind in "OU":
            kind, flat = TensorProto.STRING, [str(value).encode() for value in values.ravel()]
        else:
            kind, flat = helper.np_dtype_to_tensor_dtype(values.dtype), values.ravel().tolist()
        self._container.add_initializer(name, kind, list(values.shape), flat)
        return name

    def cast(self, value: str, kind: int) -> str:
        """Add a cast."""
        return self.add("Cast", value, to=kind)

    def trees(
        self,
        X: str,
        trees: Sequence[Tree],
        values: Sequence[Floats],
        targets: Sequence[int],
        n_targets: int,
    ) -> str:
        """Add the sums of trees' values, of shape (n_rows, n_targets)."""
        given = tree_ensemble.attributes(trees, values, targets, n_targets)
        return self.add("TreeEnsemble", X, domain=_ML, **given)

    def label(self, index: str) -> None:
        """Answer with the classes at these places."""
        classes = np.asarray(self.estimator.classes_)
        if classes.dtype.kind in "biu":
            classes = classes.astype(np.int64)
        elif classes.dtype.kind == "f":
            raise NotImplementedError("classes that are numbers with a fraction")
        self.add("Gather", self.constant(classes), index, out=self.outputs[0], axis=0)

    def first_largest(self, scores: str) -> str:
        """Add the place of the first of the largest scores of each row."""
        return self.add("ArgMax", scores, axis=1, keepdims=0, select_last_index=0)

    def rounded(self) -> str:
        """Add the inputs as scikit-learn's own trees compare them: float32, in doubles."""
        return self.cast(self.cast(self.X, TensorProto.FLOAT), TensorProto.DOUBLE)

    def doubles(self) -> str:
        """Add the inputs as doubles."""
        return self.cast(self.X, TensorProto.DOUBLE)

    def inner(self, estimator: Any) -> list[str]:
        """Add another estimator on the same inputs; return the names of its outputs.

        A classifier has two: labels, and probabilities.
        """
        name = sklearn_operator_name_map[type(estimator)]
        operator = self._scope.declare_local_operator(name, estimator)
        operator.inputs = self._operator.inputs
        for kind in output_types(estimator, None):
            operator.outputs.append(self._scope.declare_local_variable("inner", kind))
        return [output.onnx_name for output in operator.outputs]


Conversion = Callable[[Operators], None]
"""What adds an estimator's operators, and answers with its outputs."""


def output_types(estimator: Any, n_rows: Any) -> list[Any]:
    """Return the outputs' types: doubles, and the labels of what tells classes apart."""
    if is_outlier_detector(estimator):
        return [Int64TensorType([n_rows, 1]), DoubleTensorType([n_rows, 1])]
    if is_classifier(estimator):
        texts = np.asarray(estimator.classes_).dtype.kind in "OU"
        label = (StringTensorType if texts else Int64TensorType)([n_rows])
        return [label, DoubleTensorType([n_rows, len(estimator.classes_)])]
    if hasattr(estimator, "predict"):
        return [DoubleTensorType([n_rows, None])]
    return [DoubleTensorType([n_rows, estimator.n_features_in_])]


def converters(by_type: dict[type, Conversion]) -> dict[type, Callable[[Any, Any, Any], None]]:
    """Return conversions as ``skl2onnx.convert_sklearn`` takes them."""

    def converter(convert: Conversion) -> Callable[[Any, Any, Any], None]:
        return lambda scope, operator, container: convert(Operators(scope, operator, container))

    return {kind: converter(convert) for kind, convert in by_type.items()}


def declare_types(operator: Any) -> None:
    """Declare the outputs of an estimator, as skl2onnx asks for it."""
    n_rows = operator.inputs[0].get_first_dimension()
    for output, kind in zip(
        operator.outputs, output_types(operator.raw_operator, n_rows), strict=True
    ):
        output.set_type(kind)
