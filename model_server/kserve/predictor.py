"""The predictor: a KServe model that hands every request on to a served model.

A body reaches it as bytes. KServe's own v2 objects never do: what they are made of is read by
`model_server.formats.infer_json` and `model_server.kserve.infer_message`.
"""

from typing import Any

from kserve import Model
from kserve.model import InferenceVerb
from typing_extensions import override

from model_server.errors import ModelNotReady, NotOffered
from model_server.formats import negotiation, tensors
from model_server.inference.served import Served

Headers = dict[str, str]


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
        body: bytes,
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
