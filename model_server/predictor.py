"""The predictor: a KServe model whose answers come from a runtime of ours.

KServe calls ``preprocess``, ``predict`` and ``postprocess`` in turn and times each. For v1 the
body reaches ``preprocess`` as bytes; for v2, over REST or gRPC, as an ``InferRequest``.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from kserve import InferOutput, InferRequest, InferResponse, Model
from kserve.errors import InvalidInput, ModelNotReady
from kserve.metrics import POST_HIST_TIME, PRE_HIST_TIME, PREDICT_HIST_TIME

from model_server import codecs
from model_server.artifact import Artifact
from model_server.batching import Batcher
from model_server.columns import Columns, Matrix
from model_server.errors import BadRequest
from model_server.runtime import Runtime, check_golden
from model_server.stages import StageHistogram
from model_server.workers import Workers

OUTPUT = "output-0"
INPUT = "input-0"

_STAGES = tuple(
    StageHistogram(histogram) for histogram in (PRE_HIST_TIME, PREDICT_HIST_TIME, POST_HIST_TIME)
)
"""Reading a request, predicting its rows, writing the answer."""

Answer = bytes | Any
"""Bytes for v1, KServe's InferResponse for v2."""

Headers = dict[str, str]


@dataclass(frozen=True)
class Call:
    """One request, read: its rows, and what writes its answer from their predictions."""

    X: Matrix
    answer: Callable[[npt.NDArray[Any]], Answer]
    media_type: str | None


class Predictor(Model):
    """Serve one model directory over KServe's v1 and v2 protocols.

    Parameters
    ----------
    artifact : Artifact
        Checked.
    runtime : Runtime
        Loaded from it.
    workers : Workers
        Shared by all models of its kind.
    rows_limit : int
        Most rows of one request.
    name : str, optional
        The manifest's by default.
    """

    def __init__(
        self,
        artifact: Artifact,
        runtime: Runtime,
        workers: Workers,
        rows_limit: int,
        name: str | None = None,
    ) -> None:
        super().__init__(name or artifact.manifest.name, return_response_headers=True)
        self.artifact = artifact
        self.columns = Columns(artifact.manifest.features)
        self._runtime = runtime
        self._workers = workers
        self._golden = self.columns.matrix(artifact.manifest.golden.instances)
        self.batcher = Batcher(runtime, self._golden, workers, rows_limit)
        self.stages = tuple(histogram.stage(self.name) for histogram in _STAGES)
        self.ready = True

    async def preprocess(self, payload: bytes | InferRequest, headers: Headers) -> Call:
        """Read the rows of a request, and settle first how it will be answered.

        Raises
        ------
        RequestError
            For v1, if body, ``Content-Type`` or ``Accept`` do not fit.
        InvalidInput
            For v2, if the tensors do not fit.
        """
        if isinstance(payload, InferRequest):
            return Call(self._read_tensors(payload), lambda y: self._tensor(payload, y), None)
        writer = codecs.writer(headers.get("accept"))
        reader = codecs.reader(headers.get("content-type"))
        return Call(reader.decode(payload, self.columns), writer.encode, writer.media_type)

    async def predict(self, call: Call, headers: Headers, response_headers: Headers) -> Answer:
        """Predict the rows, and write the answer."""
        y = await self.batcher.submit(call.X)
        if call.media_type is not None:
            response_headers["content-type"] = call.media_type
        return call.answer(y)

    async def check(self) -> None:
        """Predict the golden rows once more, behind what waits for the threads.

        Raises
        ------
        ArtifactError
            If they come out differently.
        """
        cost_s = self.batcher.cost_s(len(self._golden))
        await self._workers.submit(cost_s, lambda: check_golden(self.artifact, self._runtime))

    def get_input_types(self) -> list[dict[str, Any]]:
        """Describe the tensors of a v2 request: one a feature, or all numbers in a matrix."""
        if not self.columns.only_numbers:
            kinds = {"number": "FP64", "string": "BYTES"}
            return [
                {"name": feature.name, "datatype": kinds[feature.type], "shape": [-1, 1]}
                for feature in self.columns.features
            ]
        return [{"name": INPUT, "datatype": "FP64", "shape": [-1, len(self.columns.names)]}]

    def get_output_types(self) -> list[dict[str, Any]]:
        """Describe the tensor of a v2 answer."""
        y = _typed(np.array(self.artifact.manifest.golden.predictions))
        return [{"name": OUTPUT, "datatype": _datatype(y), "shape": [-1]}]

    def forget(self) -> None:
        """Count no more of this model, as it will not come back."""
        for histogram in _STAGES:
            histogram.forget(self.name)

    def stop(self) -> None:
        """Do nothing: requests in flight are finished before the process ends."""

    def _read_tensors(self, request: InferRequest) -> Matrix:
        try:
            arrays = {tensor.name: tensor.as_numpy() for tensor in request.inputs}
            if len(arrays) != len(request.inputs):
                raise BadRequest("two inputs have the same name")
            if len(arrays) == 1 and self.columns.names != tuple(arrays):
                return self.columns.matrix_of_numbers(_numbers(*arrays.values()))
            order = self.columns.order(list(arrays))
            cells = [_cells(name, array) for name, array in arrays.items()]
            return self.columns.matrix(zip(*(cells[place] for place in order), strict=True))
        except (BadRequest, OverflowError, TypeError, ValueError) as error:
            raise InvalidInput(str(error)) from error

    def _tensor(self, request: InferRequest, y: npt.NDArray[Any]) -> InferResponse:
        y = _typed(y)
        output = InferOutput(name=OUTPUT, shape=list(y.shape), datatype=_datatype(y))
        output.set_data_from_numpy(y, binary_data=request.use_binary_outputs)
        return InferResponse(
            response_id=request.id or str(uuid.uuid4()),
            model_name=self.name,
            model_version=self.artifact.manifest.version,
            infer_outputs=[output],
            use_binary_outputs=request.use_binary_outputs,
            requested_outputs=request.request_outputs,
        )


class BrokenPredictor(Model):
    """Stand in for a model directory that can't be served: never ready, and says why."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(name)
        self.problem = problem

    def load(self) -> bool:
        """Refuse: KServe calls this for a request to a model that is not ready."""
        raise ModelNotReady(self.name, self.problem)


def _numbers(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if array.dtype.kind not in "iuf":
        raise BadRequest(f"a single input holds numbers, not {array.dtype}")
    return array


def _cells(name: str, array: npt.NDArray[Any]) -> list[Any]:
    if array.ndim > 2 or (array.ndim == 2 and array.shape[1] != 1):
        raise BadRequest(f"input {name!r} has shape {list(array.shape)}, not [rows] or [rows, 1]")
    cells = array.reshape(-1).tolist()
    return [cell.decode() if isinstance(cell, bytes) else cell for cell in cells]


def _typed(y: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return y.astype(object) if y.dtype.kind in "US" else y


def _datatype(y: npt.NDArray[Any]) -> str:
    return {"f": "FP64", "i": "INT64", "O": "BYTES"}[y.dtype.kind]
