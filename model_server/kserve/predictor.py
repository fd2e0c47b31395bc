"""The predictor: a served model as KServe's custom model class.

KServe's repository holds it, and KServe's own server can serve it: ``ModelServer().start([...])``.
This server's routes ask the served model itself.
"""

from typing import Any

import orjson
from kserve.errors import InvalidInput
from kserve.model import InferenceVerb, Model
from kserve.protocol.infer_type import InferRequest, InferResponse
from typing_extensions import override

from model_server.errors import ModelNotReady, RequestError
from model_server.formats import infer_json, tensors
from model_server.formats.infer_json import InferWriter
from model_server.formats.json import JSONReader, JSONWriter
from model_server.formats.tensors import TensorReader
from model_server.inference.served import Served

_CLIENTS_FAULT = range(400, 500)


class Predictor(Model):
    """Serve a model over KServe's protocols.

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
        body: dict[str, Any] | InferRequest,
        headers: dict[str, str] | None = None,
        verb: InferenceVerb = InferenceVerb.PREDICT,
    ) -> tuple[dict[str, Any] | InferResponse, dict[str, str]]:
        """Answer a request of KServe's server: v1's object, or that of v2; it adds no headers.

        Raises
        ------
        InvalidInput, RequestError
        """
        if verb is not InferenceVerb.PREDICT:
            raise NotImplementedError("this model explains nothing")
        try:
            if isinstance(body, InferRequest):
                return await self._infer(body), {}
            return await self._predict(body), {}
        except RequestError as error:
            if error.status in _CLIENTS_FAULT:
                raise InvalidInput(str(error)) from error
            raise

    async def _predict(self, body: dict[str, Any]) -> dict[str, Any]:
        content = orjson.dumps(body)
        answer = await self.served.predict(content, len(content), JSONReader(), JSONWriter())
        told: dict[str, Any] = orjson.loads(answer)
        return told

    async def _infer(self, body: InferRequest) -> InferResponse:
        content, json_bytes = body.to_rest()
        if isinstance(content, dict):
            content = orjson.dumps(content)
        asked = infer_json.read(content, json_bytes)
        writer = InferWriter(asked, self.name, self.served.manifest.version)
        answer, json_bytes = await self.served.predict(asked, len(content), TensorReader(), writer)
        return InferResponse.from_bytes(answer, json_bytes or len(answer))

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
