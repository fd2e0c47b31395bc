"""The gRPC server: KServe's v2 service, health and reflection, with an error's right status.

Each call reads its message itself: gRPC would read and parse it before anything of ours ran.

Source: the Open Inference Protocol, ``inference_grpc.md``, and gRPC's ``health-checking.md``.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeAlias

import grpc
from google.protobuf.message import DecodeError, Message
from grpc import StatusCode
from grpc_health.v1 import health_pb2
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb

from model_server.errors import BadRequest, NotOffered, RequestError, Unexpected
from model_server.formats.tensors import TensorReader
from model_server.http.authentication import Tokens
from model_server.http.limits import Limits
from model_server.http.tls import Certificate
from model_server.inference.health import Health
from model_server.kserve import infer_message, metadata
from model_server.kserve.control import Control
from model_server.kserve.infer_message import MessageWriter
from model_server.kserve.peer import shut_down
from model_server.kserve.reception import Reception
from model_server.kserve.reflection import Reflection
from model_server.kserve.repository import Repository
from model_server.metrics import REJECTED

log = logging.getLogger("model_server")

_INFERENCE = "inference.GRPCInferenceService"
_HEALTH = "grpc.health.v1.Health"
_REFLECTION = ("grpc.reflection.v1alpha.ServerReflection", "grpc.reflection.v1.ServerReflection")
"""Two names for the same messages; clients try the second first."""

_LIVENESS = "liveness"
_WHOLE_SERVER = ("", "readiness", _INFERENCE)
"""Services that health is asked of, beside each model by its name."""

_TENSORS = TensorReader()

_CALLS_AT_A_TIME = 2048
"""Whatever they wait for, so that unread answers, and calls without a message, are bounded."""

_OPTIONS = (
    ("grpc.max_concurrent_streams", 100),
    ("grpc.max_connection_idle_ms", 65_000),
    ("grpc.max_connection_age_ms", 5 * 60_000),
    ("grpc.max_connection_age_grace_ms", 2 * 60_000),
    ("grpc.http2.bdp_probe", 0),
)
"""What one connection may: calls at a time, how long it may have none, how long it lasts until its
client is told to open another, and how long calls may take after that. Probing would open a window
of 4 MiB and more to messages that nobody reads; without it core keeps 64 KiB of each.
"""

Context: TypeAlias = "grpc.aio.ServicerContext[bytes, bytes]"
Answer = Callable[[Context], Coroutine[Any, Any, bytes]]


@dataclass(frozen=True)
class _Call:
    """A call that is small: its message, and what answers one; an open one needs no token."""

    message: type[Message]
    answer: Callable[[Any], Awaitable[Message]]
    is_open: bool = False


class Calls(grpc.GenericRpcHandler):
    """What answers each call.

    Parameters
    ----------
    repository : Repository
    health : Health
    tokens : Tokens, optional
    reception : Reception
        An answer may take as long to go as a message to come: who does not read it is cut off.
    control : Control, optional
        What loads and unloads models, where that is allowed.
    """

    def __init__(
        self,
        repository: Repository,
        health: Health,
        tokens: Tokens | None,
        reception: Reception,
        control: Control | None,
    ) -> None:
        self._repository = repository
        self._health = health
        self._limiter = reception.limiter
        self._tokens = tokens
        self._reception = reception
        self._control = control
        self._reflection = Reflection((_INFERENCE, _HEALTH, _REFLECTION[0]), reception)
        self._handlers = self._made()
        self._not_offered = self._unary(_not_offered)

    def _made(self) -> dict[str, grpc.RpcMethodHandler]:
        """Return the handlers of all calls by their paths."""
        small = {
            f"{_INFERENCE}/ServerMetadata": _Call(pb.ServerMetadataRequest, self._server_metadata),
            f"{_INFERENCE}/ModelReady": _Call(pb.ModelReadyRequest, self._model_ready),
            f"{_INFERENCE}/ModelMetadata": _Call(pb.ModelMetadataRequest, self._model_metadata),
            f"{_HEALTH}/Check": _Call(health_pb2.HealthCheckRequest, self._check, is_open=True),
        }
        if self._control is not None:
            changing = _Changing(self._control)
            load = _Call(pb.RepositoryModelLoadRequest, changing.load)
            unload = _Call(pb.RepositoryModelUnloadRequest, changing.unload)
            small[f"{_INFERENCE}/RepositoryModelLoad"] = load
            small[f"{_INFERENCE}/RepositoryModelUnload"] = unload
        handlers = {path: self._unary(self._asking(call)) for path, call in small.items()}
        handlers[f"{_INFERENCE}/ServerLive"] = self._unary(self._live)
        handlers[f"{_INFERENCE}/ServerReady"] = self._unary(self._ready)
        handlers[f"{_INFERENCE}/ModelInfer"] = self._unary(self._infer)
        reflect = grpc.stream_stream_rpc_method_handler(self._reflect)
        handlers |= {f"{name}/ServerReflectionInfo": reflect for name in _REFLECTION}
        return {f"/{path}": handler for path, handler in handlers.items()}

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        """Return what answers a call."""
        return self._handlers.get(details.method, self._not_offered)

    def _unary(self, answer: Answer) -> grpc.RpcMethodHandler:
        """Return what answers a call, or ends it with a status.

        An aborted call is kept with its frames until garbage is collected, so no message is in
        this one, and none of the error's is kept.
        """

        async def handle(_messages: Any, context: Context) -> bytes:
            try:
                answered = await answer(context)
            except Exception as error:  # noqa: BLE001 - the client gets a status, the log the rest
                status, words = _told(error)
            else:
                self._see_off(answered, context)
                return answered
            return await context.abort(status, words)

        return grpc.stream_unary_rpc_method_handler(handle)

    def _asking(self, call: _Call) -> Answer:
        async def answer(context: Context) -> bytes:
            if not call.is_open:
                self._check_token(context)
            message = await self._reception.read(context)
            with self._limiter.inside(len(message)):
                try:
                    asked = call.message.FromString(message)
                except DecodeError as error:
                    raise BadRequest("the message is not what its call takes") from error
                return (await call.answer(asked)).SerializeToString()

        return answer

    def _check_token(self, context: Context) -> None:
        if self._tokens is not None:
            sent = context.invocation_metadata() or ()
            given = [str(value).encode() for name, value in sent if name == "authorization"]
            self._tokens.check(given)

    async def _infer(self, context: Context) -> bytes:
        self._check_token(context)
        message = await self._reception.read(context)
        with self._limiter.inside(len(message)):
            parsed = infer_message.parse(message)
            model = self._repository.find_ready(parsed.model_name, parsed.model_version or None)
            request = infer_message.read(parsed)
            writer = MessageWriter(request, model.name, model.manifest.version)
            answer: bytes = await model.predict(request, len(message), _TENSORS, writer)
            return answer

    async def _live(self, _: Context) -> bytes:
        return pb.ServerLiveResponse(live=self._health.alive).SerializeToString()

    async def _ready(self, _: Context) -> bytes:
        return pb.ServerReadyResponse(ready=self._is_ready()).SerializeToString()

    def _is_ready(self, name: str | None = None) -> bool:
        """Tell whether a model, or any, takes requests.

        Raises
        ------
        ModelNotFound
        """
        served = self._repository.served
        if name is None:
            return self._health.ready(served.values())
        if name not in self._repository.models:
            raise self._repository.unserved(name)
        return name in served and self._health.ready([served[name]])

    async def _check(self, asked: Any) -> Message:
        if asked.service == _LIVENESS:
            is_serving = self._health.alive
        else:
            is_serving = self._is_ready(None if asked.service in _WHOLE_SERVER else asked.service)
        told = health_pb2.HealthCheckResponse
        return told(status=told.SERVING if is_serving else told.NOT_SERVING)

    async def _model_ready(self, asked: Any) -> Message:
        if asked.version and asked.name in self._repository.served:
            self._repository.find(asked.name, asked.version)
        return pb.ModelReadyResponse(ready=self._is_ready(asked.name))

    async def _server_metadata(self, _: Any) -> Message:
        told = metadata.of_server(repository_api=self._control is not None)
        return pb.ServerMetadataResponse(**told)

    async def _model_metadata(self, asked: Any) -> Message:
        model = self._repository.find(asked.name, asked.version or None)
        return pb.ModelMetadataResponse(**metadata.of_model(model))

    async def _reflect(self, _messages: Any, context: Context) -> None:
        try:
            self._check_token(context)
            await self._reflection.answer(context)
        except Exception as error:  # noqa: BLE001 - as above
            status, words = _told(error)
        else:
            return
        await context.abort(status, words)

    def _see_off(self, answer: bytes, context: Context) -> None:
        """Count an answer's bytes until they are gone, and end the connection if none will go."""
        self._limiter.add(len(answer))
        loop = asyncio.get_running_loop()
        late = loop.call_later(self._reception.timeout_s, self._give_up, context)

        def gone(_: Any) -> None:
            late.cancel()
            self._limiter.shrink(len(answer))

        context.add_done_callback(gone)

    def _give_up(self, context: Context) -> None:
        REJECTED.labels("read_timeout").inc()
        shut_down(context.peer())


class _Changing:
    """What answers the calls that change what is served."""

    def __init__(self, control: Control) -> None:
        self._control = control

    async def load(self, asked: Any) -> Message:
        await self._control.load(asked.model_name)
        return pb.RepositoryModelLoadResponse(model_name=asked.model_name, isLoaded=True)

    async def unload(self, asked: Any) -> Message:
        await self._control.unload(asked.model_name)
        return pb.RepositoryModelUnloadResponse(model_name=asked.model_name, isUnloaded=True)


async def _not_offered(_: Context) -> bytes:
    raise NotOffered("this server does not offer the call")


def _told(error: Exception) -> tuple[StatusCode, str]:
    """Return what a client is told of an error; one that nobody expected is logged."""
    if not isinstance(error, RequestError):
        log.error("a call failed", exc_info=error)
        error = Unexpected(error)
    return StatusCode[error.grpc_status], str(error)


def server(calls: Calls, limits: Limits, *, shared: bool) -> grpc.aio.Server:
    """Return a server, without a port yet.

    Parameters
    ----------
    calls : Calls
    limits : Limits
    shared : bool
        Whether other processes listen on its port too.
    """
    made = grpc.aio.server(
        options=[
            ("grpc.max_receive_message_length", limits.body_bytes),
            ("grpc.max_send_message_length", -1),
            ("grpc.so_reuseport", int(shared)),
            ("grpc.max_allowed_incoming_connections", limits.grpc_connections),
            ("grpc.server_handshake_timeout_ms", int(limits.header_timeout_s * 1000)),
            *_OPTIONS,
        ],
        maximum_concurrent_rpcs=_CALLS_AT_A_TIME,
    )
    made.add_generic_rpc_handlers((calls,))
    return made


def credentials(certificate: Certificate) -> grpc.ServerCredentials:
    """Return what shows a certificate, as the server last found it whenever a client connects."""

    def configuration() -> grpc.ServerCertificateConfiguration:
        return grpc.ssl_server_certificate_configuration([certificate.pem])

    return grpc.dynamic_ssl_server_credentials(configuration(), configuration)
