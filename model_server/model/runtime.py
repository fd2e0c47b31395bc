"""What computes the answers: ONNX Runtime, or the estimator itself.

What either needs is imported only where there is one.
"""

import io
import os
import warnings
from collections.abc import Callable, Sequence
from importlib import metadata
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from model_server.errors import BadRequest, ModelDirectoryError
from model_server.model import containers, onnx_graph
from model_server.model.columns import Instances, fields, misfit
from model_server.model.directory import JOBLIB, MANIFEST, ONNX, ModelDirectory
from model_server.model.manifest import PREDICTION, Container, Feature, Method, Output, Tolerance
from model_server.model.outputs import Answers, ask, offered, standard
from model_server.model.signature import Signature
from model_server.model.tokens import Tokenizer

_DTYPES: dict[str, Any] = {
    "tensor(double)": np.float64,
    "tensor(float)": np.float32,
    "tensor(int64)": np.int64,
}
"""Of a graph's inputs that are no texts."""

_OF_OTHERS = Tolerance(absolute=1e-6, relative=1e-6)
"""Of what a model gives beside its predictions."""

_COUNTS_AT_A_TIME = 2_000_000
"""The most counts of tokens that a graph makes at once, each of which takes some 30 bytes there."""

_ROWS_AT_A_TIME = 1024
"""A graph is given no more, as it may take so many times what its rows do: a number of each tree
for each class, a distance to each row of the training."""


ABSENT_TEXT = "\ufdd0"
"""What a graph is given for a text that is missing: a noncharacter (Unicode, 23.7)."""


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

_PREDICTION = (Output(name=PREDICTION),)


class OnnxRuntime(Runtime):
    """A graph in ONNX Runtime, on one thread.

    A graph reads either one matrix or one column a feature, each under the feature's name.

    Parameters
    ----------
    model : bytes
        A serialized ONNX model.
    features : sequence of Feature
    outputs : sequence of Output, optional
        What it gives, in its order; by default a number or label, its first.
    """

    name = "onnxruntime"
    merges = True
    unpickles = False

    def __init__(
        self,
        model: bytes,
        features: Sequence[Feature],
        outputs: Sequence[Output] = _PREDICTION,
    ) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 4  # what it raises tells the same
        options.enable_cpu_mem_arena = False  # it would keep what the longest request took
        options.add_session_config_entry(
            "session.load_model_format", "ONNX"
        )  # and no other of its own
        self._session = onnxruntime.InferenceSession(
            model, options, providers=["CPUExecutionProvider"]
        )
        self.concurrency = len(os.sched_getaffinity(0))
        self._features = tuple(features)
        self._names = [feature.name for feature in features]
        self._inputs = {node.name: node.type for node in self._session.get_inputs()}
        self._matrix: tuple[str, Any] | None = None
        if list(self._inputs) != self._names:
            [(input_name, kind)] = self._inputs.items()
            self._matrix = input_name, _DTYPES[kind]
        read_as = self._inputs if self._matrix is None else dict.fromkeys(self._names, kind)
        self.narrow = frozenset(
            name for name in read_as if _DTYPES.get(read_as[name]) is np.float32
        )
        self._tokenizers = {
            feature.name: Tokenizer(feature.tokens, ABSENT_TEXT)
            for feature in features
            if feature.tokens is not None
        }
        known = max((each.tokens.n_known for each in features if each.tokens), default=1)
        self._rows_at_a_time = max(min(_ROWS_AT_A_TIME, _COUNTS_AT_A_TIME // known), 1)
        self._outputs = {output.name: output for output in outputs}
        self._nodes = dict(
            zip(self._outputs, (node.name for node in self._session.get_outputs()), strict=False)
        )

    @property
    def n_outputs(self) -> int:
        """How many outputs the graph has."""
        return len(self._session.get_outputs())

    def answer(self, X: Instances, names: Sequence[str]) -> Answers:
        """See `Runtime.answer`."""
        nodes, feed, n_rows = [self._nodes[name] for name in names], self._feed(X), len(X)
        if n_rows <= self._rows_at_a_time:
            values = self._session.run(nodes, feed)
        else:
            values = self._in_parts(nodes, feed, n_rows)
        outputs = self._outputs
        return {
            name: _typed(np.asarray(each), n_rows, outputs[name])
            for name, each in zip(names, values, strict=True)
        }

    def _in_parts(
        self, nodes: list[str], feed: dict[str, npt.NDArray[Any]], n_rows: int
    ) -> list[npt.NDArray[Any]]:
        step = self._rows_at_a_time
        parts = [
            self._session.run(nodes, {name: rows[at : at + step] for name, rows in feed.items()})
            for at in range(0, n_rows, step)
        ]
        return [np.concatenate(each) for each in zip(*parts, strict=True)]

    def _feed(self, X: Instances) -> dict[str, npt.NDArray[Any]]:
        if self._matrix is not None:
            name, dtype = self._matrix
            return {name: _cast(containers.array(X), dtype, self._names)}
        return {
            name: self._tokenizers[name].array(_texts(column)[:, 0])
            if name in self._tokenizers
            else _tensor(column, name, _DTYPES.get(self._inputs[name]))
            for name, column in zip(self._names, fields(X), strict=True)
        }


def _typed(values: npt.NDArray[Any], n_rows: int, output: Output) -> npt.NDArray[Any]:
    """Return what a graph gives in the shape and the type that the estimator has."""
    values = values.reshape(n_rows, *output.shape)
    if output.type == "number" and values.dtype.kind in "fi":
        return values.astype(np.float64, copy=False)
    if output.type == "boolean":
        return values.astype(np.bool_)
    return standard(values)


class EstimatorRuntime(Estimator):
    """A scikit-learn estimator.

    Parameters
    ----------
    estimator : object
        Fitted.
    features : sequence of Feature
    outputs : sequence of Output, optional
        What it is asked for; by default all that it offers, in the shapes that it has.
    container : str, optional
        What it was fitted on; by default what it tells.
    """

    name = "scikit-learn"
    concurrency = 1
    merges = False
    unpickles = True

    def __init__(
        self,
        estimator: Any,
        features: Sequence[Feature],
        outputs: Sequence[Output] | None = None,
        container: Container | None = None,
    ) -> None:
        self._estimator = estimator
        self._features = tuple(features)
        self._shapes = {output.name: output.shape for output in outputs or ()}
        self.offered = offered(estimator)
        if outputs is not None:
            self.offered = {output.name: output.method for output in outputs}
        self._container = container or containers.fitted_on(estimator, features)
        self.classes = list(np.asarray(getattr(estimator, "classes_", ())).tolist())

    def answer(self, X: Instances, names: Sequence[str]) -> Answers:
        """See `Runtime.answer`.

        Raises
        ------
        BadRequest
            If it can't read a number that is beyond float32, as trees can't.
        """
        inputs, answers = self.inputs(X), {}
        for name in names:
            try:
                values = ask(self._estimator, self.offered[name], inputs)
            except ValueError:
                self._check_float32(X)
                raise
            shape = self._shapes.get(name, values.shape[1:])
            answers[name] = values.reshape(len(X), *shape)
        return answers

    def _check_float32(self, X: Instances) -> None:
        for feature, column in zip(self._features, fields(X), strict=True):
            if column.dtype.kind == "f":
                _tensor(column, feature.name, np.float32)

    def inputs(self, X: Instances) -> Any:
        """Return what the estimator is given for some rows."""
        return containers.contained(X, self._features, self._container)


def kind(directory: ModelDirectory) -> type[OnnxRuntime | EstimatorRuntime]:
    """Return what answers from a model directory, without loading it."""
    return OnnxRuntime if directory.model_file == ONNX else EstimatorRuntime


def check_golden(directory: ModelDirectory, signature: Signature, runtime: Runtime) -> None:
    """See that every golden row comes out as the manifest says.

    Raises
    ------
    ModelDirectoryError
    """
    try:
        answers = runtime.answer(signature.golden_X, tuple(signature.golden))
    except Exception as error:
        raise ModelDirectoryError(
            directory.path,
            directory.model_file,
            f"{runtime.name} can't predict the golden rows ({first_line(error)})",
            "train the model again",
        ) from error
    for name, expected in signature.golden.items():
        tolerance = directory.manifest.tolerance if name == PREDICTION else _OF_OTHERS
        for row, (actual, right) in enumerate(zip(answers[name], expected, strict=True), start=1):
            if not agree(np.asarray(actual), np.asarray(right), tolerance):
                what = "" if name == PREDICTION else f" in its {name}"
                raise ModelDirectoryError(
                    directory.path,
                    directory.model_file,
                    f"golden row {row} comes out as {actual}, not {right}{what}",
                    "train the model again with the libraries that serve it",
                )


def agree(actual: npt.NDArray[Any], expected: npt.NDArray[Any], tolerance: Tolerance) -> bool:
    """Tell whether every value is within the tolerance of the expected one."""
    if not np.issubdtype(expected.dtype, np.floating):
        return bool(np.array_equal(actual, expected))
    close = np.allclose(
        actual, expected, rtol=tolerance.relative, atol=tolerance.absolute, equal_nan=True
    )
    return bool(close)


def _load_graph(directory: ModelDirectory, outputs: Sequence[Output]) -> OnnxRuntime:
    try:
        if not onnx_graph.is_whole(directory.model):
            raise ModelDirectoryError(
                directory.path,
                ONNX,
                "has data in other files, which no digest covers",
                "save the graph with all its data inside",
            )
        return OnnxRuntime(directory.model, directory.manifest.features, outputs)
    except ModelDirectoryError:
        raise
    except Exception as error:
        raise ModelDirectoryError(
            directory.path,
            ONNX,
            f"ONNX Runtime can't load it ({first_line(error)})",
            "train the model again",
        ) from error


def load_estimator(
    directory: ModelDirectory, outputs: Sequence[Output] | None = None
) -> EstimatorRuntime:
    """Make the runtime of an estimator, whatever its golden rows.

    Parameters
    ----------
    directory : ModelDirectory
    outputs : sequence of Output, optional
        What it is asked for; by default all that it offers.

    Raises
    ------
    ModelDirectoryError
        If it can't be unpickled, or was made by another version of scikit-learn.
    """
    trained = directory.manifest.libraries.get("scikit-learn", "")
    try:
        installed = metadata.version("scikit-learn")
    except metadata.PackageNotFoundError:
        raise ModelDirectoryError(
            directory.path,
            JOBLIB,
            "needs scikit-learn, which is not installed",
            f"install scikit-learn {trained}".rstrip(),
        ) from None
    if trained and trained != installed:
        raise ModelDirectoryError(
            directory.path,
            JOBLIB,
            f"made by scikit-learn {trained}, and {installed} is installed",
            "train the model again with the installed version or install the other",
        )
    import joblib

    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", "Trying to unpickle estimator")
            estimator = joblib.load(io.BytesIO(directory.model))
    except Exception as error:
        raise ModelDirectoryError(
            directory.path,
            JOBLIB,
            f"can't be unpickled ({first_line(error)})",
            "install the packages that the estimator needs or train the model again",
        ) from error
    manifest = directory.manifest
    return EstimatorRuntime(estimator, manifest.features, outputs, manifest.container)


def load(
    directory: ModelDirectory,
    load_estimator: EstimatorLoader = load_estimator,
) -> Runtime:
    """Make the runtime of a checked model directory and see that its golden rows come out.

    Parameters
    ----------
    directory : ModelDirectory
    load_estimator : callable, optional
        What loads an estimator; by default it comes into this process.

    Raises
    ------
    ModelDirectoryError
        If the file can't be loaded, was made by another version of scikit-learn, or a golden row
        does not fit or comes out differently.
    """
    try:
        signature = Signature(directory.manifest)
    except BadRequest as error:
        raise ModelDirectoryError(
            directory.path,
            MANIFEST,
            f"its golden rows are none of the model's ({error})",
            "train the model again",
        ) from error
    outputs = tuple(signature.outputs.values())
    if kind(directory) is OnnxRuntime:
        runtime: Runtime = _load_graph(directory, outputs)
    else:
        runtime = load_estimator(directory, outputs)
    check_golden(directory, signature, runtime)
    return runtime


def _tensor(column: npt.NDArray[Any], name: str, dtype: Any) -> npt.NDArray[Any]:
    """Return a column as a graph reads it: of texts where no dtype is given."""
    if dtype is None:
        return _texts(column)
    column = column.reshape(len(column), -1)
    return _cast(column, dtype, [name] * column.shape[1])


def _texts(column: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return texts, none of them missing, of shape (n_rows, 1)."""
    column = column.reshape(len(column), 1)
    absent = column == None  # noqa: E711 - of each cell
    return np.where(absent, ABSENT_TEXT, column) if absent.any() else column


def _cast(X: npt.NDArray[Any], dtype: Any, names: Sequence[str]) -> npt.NDArray[Any]:
    """Turn the columns of these features into another dtype, and no number into infinity."""
    with np.errstate(over="raise"):
        try:
            return X.astype(dtype, copy=False)
        except FloatingPointError:
            pass
    with np.errstate(over="ignore"):
        row, column = np.argwhere(np.isinf(X.astype(dtype)))[0]
    value, limits = float(X[row, column]), np.finfo(dtype)
    end = (
        f"above {limits.max:.2g}, the highest"
        if value > 0
        else f"below {limits.min:.2g}, the lowest"
    )
    raise misfit(int(row) + 1, names[column], f"{value} is {end} {dtype.__name__} number")


def first_line(error: Exception) -> str:
    """Return what kind of error it is and what it says first, not too long."""
    return f"{type(error).__name__}: {error}".splitlines()[0][:200]
