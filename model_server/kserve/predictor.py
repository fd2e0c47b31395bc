"""The predictor: a KServe model that hands every request on to a served model.

For v1 the body reaches it as bytes; for v2 as KServe's ``InferRequest``, over gRPC, or as what that
is made of, over REST.
"""

import math
import uuid
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt
from kserve import InferInput, InferOutput, InferRequest, InferResponse, Model
from kserve.errors import InvalidInput
from kserve.model import InferenceVerb
from typing_extensions import override

from model_server.errors import BadRequest, ModelNotReady, NotOffered
from model_server.formats import negotiation, tensors
from model_server.formats.codec import Steps
from model_server.formats.tensors import TensorReader, TensorWriter
from model_server.inference.served import Served
from model_server.model.columns import Columns, Instances
from model_server.model.outputs import Answers

Headers = dict[str, str]

_NUMBER_BYTES = 8
_TENSOR_READER, _TENSOR_WRITER = TensorReader(), TensorWriter()


class Predictor(Model):
    """Serve a model over KServe's v1 and v2 protocols.

    Parameters
    ----------
    served : Served
    """

    def __init__(self, served: Served) -> None:
        self.served = served
        super().__init__(served.name, return_response_headers=True)

    @property
    def ready(self) -> bool:
        """Whether it answered its golden rows; what KServe sets it to is not heard."""
        return self.served.ready

    @ready.setter
    def ready(self, _: bool) -> None: ...

    @override
    async def __call__(
        self,
        body: bytes | InferRequest,
        headers: Headers | None = None,
        verb: InferenceVerb = InferenceVerb.PREDICT,
    ) -> tuple[Any, Headers]:
        """Answer a request; return the answer, and the headers that it adds.

        Raises
        ------
        RequestError
        """
        if verb is not InferenceVerb.PREDICT:
            raise NotOffered("this model explains nothing")
        headers = headers or {}
        if isinstance(body, InferRequest):
            infer_writer = _InferWriter(self.served, body)
            answer = await self.served.predict(
                body, _length_bytes(body), _INFER_READER, infer_writer
            )
            return answer, {}
        writer = negotiation.writer(headers.get("accept"))
        reader = negotiation.reader(headers.get("content-type"))
        answer = await self.served.predict(body, len(body), reader, writer)
        return answer, {"content-type": writer.media_type}

    @override
    def load(self) -> bool:
        """Refuse: KServe calls this for a request to a model that is not ready."""
        raise ModelNotReady(f"Model with name {self.name} is not ready.")

    @override
    def stop(self) -> None:
        """Do nothing: requests in flight are finished before the process ends."""

    @override
    def get_input_types(self) -> list[dict[str, Any]]:
        """Describe the tensors of a v2 request."""
        return tensors.describe_inputs(self.served.signature.columns)

    @override
    def get_output_types(self) -> list[dict[str, Any]]:
        """Describe the tensors that a v2 answer can have."""
        return tensors.describe_outputs(self.served.signature.outputs.values())


class BrokenPredictor(Model):
    """Stand in for a model directory that can't be served: never ready, and says why."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(name)
        self.problem = problem

    @override
    def load(self) -> bool:
        """Refuse: KServe calls this for a request to a model that is not ready."""
        raise ModelNotReady(f"Model with name {self.name} is not ready. {self.problem}")


class _InferReader:
    """Read KServe's request."""

    def read(self, request: InferRequest, columns: Columns) -> Instances:
        """See `Reader.read`."""
        return _TENSOR_READER.read(_arrays(request), columns)

    def steps(self, request: InferRequest, columns: Columns) -> Steps:
        """See `Reader.steps`."""
        return _TENSOR_READER.steps(_arrays(request), columns)

    def asked(self, request: InferRequest) -> list[str]:
        """See `Reader.asked`."""
        return [tensors.output_of(output.name) for output in request.request_outputs or ()]


@dataclass(frozen=True)
class _InferWriter:
    """Write the response to a request of KServe's."""

    served: Served
    request: InferRequest
    media_type = ""
    number_bytes = 160

    def write(self, answers: Answers) -> InferResponse:
        """See `Writer.write`."""
        binary, asked = self.request.use_binary_outputs, self.request.request_outputs
        names = {tensors.output_of(output.name): output.name for output in asked or ()}
        outputs = []
        for tensor in _TENSOR_WRITER.write(answers):
            name = names.get(tensor.name, tensors.name_of(tensor.name))
            output = InferOutput(
                name=name, shape=list(tensor.array.shape), datatype=tensor.datatype
            )
            output.set_data_from_numpy(tensor.array, binary_data=binary)
            outputs.append(output)
        return InferResponse(
            response_id=self.request.id or str(uuid.uuid4()),
            model_name=self.served.name,
            model_version=self.served.manifest.version,
            infer_outputs=outputs,
            use_binary_outputs=binary,
            requested_outputs=asked,
        )


def _arrays(request: InferRequest) -> dict[str, npt.NDArray[Any]]:
    try:
        arrays = {tensor.name: tensor.as_numpy() for tensor in request.inputs}
    except (InvalidInput, OverflowError, TypeError, ValueError) as error:
        raise BadRequest(str(error)) from error
    if len(arrays) != len(request.inputs):
        raise BadRequest("two inputs have the same name")
    return arrays


def _length_bytes(request: InferRequest) -> int:
    """Return about how long a request is, by the numbers that it lists, or says to hold."""
    return sum(map(_cells, request.inputs)) * _NUMBER_BYTES


def _cells(tensor: InferInput) -> int:
    data = tensor.data
    if data and not isinstance(data[0], list):
        return len(data)
    return max(math.prod(tensor.shape), 0)


_INFER_READER = _InferReader()
