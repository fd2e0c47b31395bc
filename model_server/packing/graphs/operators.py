"""The operators that stand for one estimator in a graph."""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import TensorProto, helper
from skl2onnx._parse import _parse_sklearn
from skl2onnx._supported_operators import sklearn_operator_name_map
from skl2onnx.common._registration import get_converter
from skl2onnx.common.data_types import DoubleTensorType, Int64TensorType, StringTensorType
from sklearn.base import is_classifier, is_outlier_detector
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.model_selection._search import BaseSearchCV
from sklearn.pipeline import Pipeline

from model_server.packing.graphs import tree_ensemble
from model_server.packing.graphs.tree_ensemble import Floats, Tree, Values

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
        self._scope, self._operator, self._container = scope, operator, container

    @cached_property
    def X(self) -> str:  # noqa: N802 - as scikit-learn has it
        """The name of the inputs, of shape (n_rows, n_features)."""
        columns = [each.full_name for each in self._operator.inputs]
        return columns[0] if len(columns) == 1 else self.add("Concat", *columns, axis=1)

    def wants(self, option: str) -> bool:
        """Whether what is asked for is not the usual, as skl2onnx's options say."""
        return bool(self._container.get_options(self.estimator, {option: False}).get(option))

    @property
    def reads_texts(self) -> bool:
        """Whether the inputs are texts."""
        return 0 in self.text_places

    @property
    def text_places(self) -> list[int]:
        """Which of the inputs are texts."""
        kinds = [each.type for each in self._operator.inputs]
        return [place for place, kind in enumerate(kinds) if isinstance(kind, StringTensorType)]

    def add(
        self, kind: str, *inputs: Any, out: str | None = None, domain: str = "", **given: Any
    ) -> str:
        """Add an operator; return the name of its output.

        Parameters
        ----------
        kind : str
        *inputs : str or array-like
            Names, or what does not change: doubles for numbers with a fraction, else int64.
        out : str, optional
            The output's name.
        domain : str, optional
        **given
            The operator's attributes.
        """
        names = [each if isinstance(each, str) else self.constant(each) for each in inputs]
        output: str = out or self._scope.get_unique_variable_name(kind.lower())
        version = {"op_version": _ML_OPSET} if domain else {}
        self._node(kind, names, [output], op_domain=domain, **version, **given)
        return output

    def smallest(self, values: str, count: int) -> tuple[str, str]:
        """Add the smallest values of each row in order, and their places."""
        found = [self._scope.get_unique_variable_name(name) for name in ("smallest", "places")]
        self._node("TopK", [values, self.constant([count])], found, axis=1, largest=0)
        return found[0], found[1]

    def _node(self, kind: str, inputs: list[str], outputs: list[str], **given: Any) -> None:
        name = self._scope.get_unique_operator_name(kind)
        self._container.add_node(kind, inputs, outputs, name=name, **given)

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

    def whole(self, value: str) -> str:
        """Add a cast to int64."""
        return self.cast(value, TensorProto.INT64)

    def trees(
        self,
        X: str,
        trees: Sequence[Tree],
        values: Sequence[Values],
        targets: Sequence[int],
        n_targets: int,
    ) -> str:
        """Add the sums of trees' values, of shape (n_rows, n_targets); `X` is of their type."""
        given = tree_ensemble.attributes(trees, values, targets, n_targets)
        return self.add("TreeEnsemble", X, domain=_ML, **given)

    @property
    def classes(self) -> npt.NDArray[Any]:
        """What the estimator tells apart, as the graph has it: texts, int64 or doubles."""
        classes = np.asarray(self.estimator.classes_)
        return classes.astype(np.int64) if classes.dtype.kind in "biu" else classes

    def label(self, index: str) -> None:
        """Answer with the classes at these places."""
        self.add("Gather", self.classes, index, out=self.outputs[0], axis=0)

    def chosen(self, scores: str, n_classes: int, limit: float = 0.0) -> str:
        """Add the place of the first of the largest scores of each row.

        Parameters
        ----------
        scores : str
            Of shape (n_rows, n_classes), or (n_rows, 1) of the second of two.
        n_classes : int
        limit : float
            What the second's is greater than.
        """
        if n_classes > 2:
            return self.first_largest(scores)
        return self.whole(self.add("Greater", self.add("Squeeze", scores, [1]), limit))

    def first_largest(self, scores: str) -> str:
        """Add the place of the first of the largest scores of each row."""
        return self.add("ArgMax", scores, axis=1, keepdims=0, select_last_index=0)

    def both(self, second: str, out: str | None = None) -> str:
        """Add the probabilities of two classes, of shape (n_rows, 2), from those of the second."""
        first = self.add("Sub", np.array(1.0), second)
        return self.add("Concat", first, second, out=out, axis=1)

    def rounded(self) -> str:
        """Add the inputs as scikit-learn's own trees compare them: float32, in doubles."""
        return self.cast(self.cast(self.X, TensorProto.FLOAT), TensorProto.DOUBLE)

    def doubles(self) -> str:
        """Add the inputs as doubles."""
        return self.cast(self.X, TensorProto.DOUBLE)

    def coded(self, categories: Mapping[int, Sequence[str]]) -> str:
        """Add the inputs as doubles; in place of texts their places among categories, or NaN.

        Parameters
        ----------
        categories : mapping of int to sequence of str
            Of each input that has texts.

        Raises
        ------
        NotImplementedError
            If they are other inputs.
        """
        if self.text_places != sorted(categories):
            raise NotImplementedError("other texts than the categories")
        if not categories:
            return self.doubles()
        columns = []
        for place, each in enumerate(self._operator.inputs):
            name = each.full_name
            if place in categories:
                name = self.add(
                    "LabelEncoder",
                    name,
                    domain=_ML,
                    keys_strings=list(categories[place]),
                    values_floats=[float(code) for code in range(len(categories[place]))],
                    default_float=math.nan,
                )
            columns.append(self.cast(name, TensorProto.DOUBLE))
        return self.add("Concat", *columns, axis=1)

    def total(self, columns: Sequence[str]) -> str:
        """Add a sum that is taken from the first to the last."""
        first, *others = columns
        for other in others:
            first = self.add("Add", first, other)
        return first

    def always(self, values: Floats) -> str:
        """Add numbers that are the same for every row: trees of nothing but a leaf."""
        trees, leaves = zip(*map(tree_ensemble.constant, values), strict=True)
        return self.trees(self.doubles(), trees, leaves, range(len(values)), len(values))

    def inner(self, estimator: Any, X: str | None = None, **options: bool) -> list[str]:
        """Add another estimator; return the names of its outputs.

        Parameters
        ----------
        estimator : object
            A classifier has two outputs: labels, and probabilities.
        X : str, optional
            Its inputs, doubles; by default they are the same.
        **options
            Of its converter in skl2onnx.

        Returns
        -------
        outputs : list of str
        """
        estimator, inputs = within(estimator), self._operator.inputs
        if X is not None:
            kind = DoubleTensorType([None, estimator.n_features_in_])
            inputs = [self._scope.declare_local_variable("inner_X", kind)]
            self.add("Identity", X, out=inputs[0].full_name)
        last = estimator
        while isinstance(last, Pipeline):
            last = within(last[-1])
        if "zipmap" in self._allowed(last):
            options["zipmap"] = False
        for options_of in (self._scope, self._container):
            options_of.add_options(id(last), options)
        return [output.full_name for output in _parse_sklearn(self._scope, estimator, inputs)]

    @staticmethod
    def _allowed(estimator: Any) -> Collection[str]:
        """Return the options that skl2onnx has for an estimator."""
        alias = sklearn_operator_name_map.get(type(estimator))
        try:
            return get_converter(alias).get_allowed_options() or ()
        except ValueError:
            return ()


Conversion = Callable[[Operators], None]
"""What adds an estimator's operators, and answers with its outputs."""


def within(estimator: Any) -> Any:
    """Return what answers: of a search its best, of what is frozen the inside."""
    while isinstance(estimator, BaseSearchCV | FrozenEstimator):
        search = isinstance(estimator, BaseSearchCV)
        estimator = estimator.best_estimator_ if search else estimator.estimator
    return estimator


def output_types(estimator: Any, n_rows: Any) -> list[Any]:
    """Return the outputs' types: doubles, and the labels of what tells classes apart."""
    if is_outlier_detector(estimator):
        return [Int64TensorType([n_rows, 1]), DoubleTensorType([n_rows, 1])]
    if is_classifier(estimator) and isinstance(estimator.classes_, list):  # of several targets
        return [DoubleTensorType([n_rows, len(estimator.classes_)])] * 2
    if is_classifier(estimator):
        kind = np.asarray(estimator.classes_).dtype.kind
        of_kind = {"f": DoubleTensorType, "O": StringTensorType, "U": StringTensorType}
        label = of_kind.get(kind, Int64TensorType)([n_rows])
        return [label, DoubleTensorType([n_rows, len(estimator.classes_)])]
    if hasattr(estimator, "predict"):
        return [DoubleTensorType([n_rows, None])]
    return [DoubleTensorType([n_rows, len(estimator.get_feature_names_out())])]


def converters(by_type: dict[type, Conversion]) -> dict[type, Callable[[Any, Any, Any], None]]:
    """Return conversions as ``skl2onnx.convert_sklearn`` takes them."""

    def converter(convert: Conversion) -> Callable[[Any, Any, Any], None]:
        return lambda scope, operator, container: convert(Operators(scope, operator, container))

    return {kind: converter(convert) for kind, convert in by_type.items()}


def declare_types(operator: Any) -> None:
    """Declare the outputs of an estimator, as skl2onnx asks for it."""
    [given, *_], estimator = operator.inputs, operator.raw_operator
    kinds = output_types(estimator, given.get_first_dimension())
    if isinstance(given.type, StringTensorType) and isinstance(estimator, SimpleImputer):
        kinds = [StringTensorType(kind.shape) for kind in kinds]
    for output, kind in zip(operator.outputs, kinds, strict=True):
        output.set_type(kind)
