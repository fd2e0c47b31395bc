"""The gRPC server: KServe's v2 service behind our limits, with an error's right status."""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from grpc import StatusCode
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import (
    add_GRPCInferenceServiceServicer_to_server,
)
from kserve.protocol.grpc.servicer import InferenceServicer
from kserve.protocol.model_repository_extension import ModelRepositoryExtension

from model_server.errors import BadRequest, NotOffered
from model_server.formats.tensors import TensorReader
from model_server.http.authentication import Tokens
from model_server.http.limits import Limits
from model_server.http.tls import Certificate
from model_server.inference.in_flight import InFlightLimiter
from model_server.kserve import infer_message
from model_server.kserve.errors import ours
from model_server.kserve.infer_message import MessageWriter
from model_server.kserve.peer import shut_down
from model_server.kserve.reception import Reception
from model_server.kserve.repository import Repository
from model_server.kserve.rest import BytesDataPlane
from model_server.metrics import REJECTED

_OPEN = ("ServerLive", "ServerReady")
_CALLS = (*_OPEN, "ModelReady", "ServerMetadata", "ModelMetadata", "ModelInfer")
_INFER = "ModelInfer"
_TENSORS = TensorReader()
_REPOSITORY_CALLS = ("RepositoryModelLoad", "RepositoryModelUnload")

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


class Interceptor(grpc.aio.ServerInterceptor):
    """What each call must pass before its message is read, and what its errors become.

    Parameters
    ----------
    limiter : InFlightLimiter
    tokens : Tokens, optional
    reception : Reception
        An answer may take as long to go as a message to come: who does not read it is cut off.
    repository : Repository
    repository_api : bool
        Whether models may be loaded and unloaded.
    """

    def __init__(
        self,
        limiter: InFlightLimiter,
        tokens: Tokens | None,
        reception: Reception,
        repository: Repository,
        *,
        repository_api: bool,
    ) -> None:
        self._limiter = limiter
        self._tokens = tokens
        self._reception = reception
        self._repository = repository
        self._calls = (*_CALLS, *_REPOSITORY_CALLS) if repository_api else _CALLS

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler | None:
        """Return what answers a call; gRPC would read its message before anything of ours ran."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        answer = functools.partial(self._answer, handler, handler_call_details)
        return grpc.stream_unary_rpc_method_handler(answer)

    async def _answer(
        self,
        handler: grpc.RpcMethodHandler,
        details: grpc.HandlerCallDetails,
        _messages: Any,
        context: grpc.aio.ServicerContext[bytes, bytes],
    ) -> bytes:
        """Answer a call, or end it with a status.

        An aborted call is kept with its frames until garbage is collected, so no message is in
        this one, and none of the error's is kept.
        """
        try:
            answer = await self._admit(handler, details, context)
        except Exception as error:  # noqa: BLE001 - the client gets a status, the log the rest
            told = ours(error)
            status, words = StatusCode[told.grpc_status], str(told)
            del told
        else:
            self._see_off(answer, context)
            return answer
        return await context.abort(status, words)

    async def _admit(
        self,
        handler: grpc.RpcMethodHandler,
        details: grpc.HandlerCallDetails,
        context: grpc.aio.ServicerContext[bytes, bytes],
    ) -> bytes:
        """Answer a call that may come in, within the limits."""
        name = details.method.rpartition("/")[2]
        if name in _OPEN:
            return await _ask(handler, handler.request_deserializer(b""), context)
        if name not in self._calls:
            raise NotOffered(f"{name} is not offered by this server")
        if self._tokens is not None:
            self._tokens.check(_authorizations(details.invocation_metadata))
        message = await self._reception.read(context)
        with self._limiter.inside(len(message)):
            if name == _INFER:
                return await self._infer(message)
            try:
                request = handler.request_deserializer(message)
            except DecodeError as error:
                raise BadRequest("the message is not what its call takes") from error
            return await _ask(handler, request, context)

    async def _infer(self, message: bytes) -> bytes:
        parsed = infer_message.parse(message)
        model = self._repository.served.get(parsed.model_name)
        if model is None or not model.ready:
            raise self._repository.unserved(parsed.model_name)
        if parsed.model_version:
            model.check_version(parsed.model_version)
        request = infer_message.read(parsed)
        writer = MessageWriter(request, model.name, model.manifest.version)
        answer: bytes = await model.predict(request, len(message), _TENSORS, writer)
        return answer

    def _see_off(self, answer: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
        """Count an answer's bytes until they are gone, and end the connection if none will go."""
        self._limiter.add(len(answer))
        loop = asyncio.get_running_loop()
        late = loop.call_later(self._reception.timeout_s, self._give_up, context)

        def gone(_: Any) -> None:
            late.cancel()
            self._limiter.shrink(len(answer))

        context.add_done_callback(gone)

    def _give_up(self, context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
        REJECTED.labels("read_timeout").inc()
        shut_down(context.peer())


async def _ask(
    handler: grpc.RpcMethodHandler,
    request: Any,
    context: grpc.aio.ServicerContext[bytes, bytes],
) -> bytes:
    answer: bytes = handler.response_serializer(await handler.unary_unary(request, context))
    return answer


def _authorizations(metadata: Iterable[tuple[str, str | bytes]]) -> list[bytes]:
    return [str(value).encode() for name, value in metadata if name == "authorization"]


def server(
    dataplane: BytesDataPlane, repository: Repository, interceptor: Interceptor, limits: Limits
) -> grpc.aio.Server:
    """Return a server of KServe's v2 service, without a port yet.

    Parameters
    ----------
    dataplane : BytesDataPlane
    repository : Repository
    interceptor : Interceptor
    limits : Limits
    """
    made = grpc.aio.server(
        interceptors=(interceptor,),
        options=[
            ("grpc.max_receive_message_length", limits.body_bytes),
            ("grpc.max_send_message_length", -1),
            ("grpc.so_reuseport", 0),
            ("grpc.max_allowed_incoming_connections", limits.grpc_connections),
            ("grpc.server_handshake_timeout_ms", int(limits.header_timeout_s * 1000)),
            *_OPTIONS,
        ],
        maximum_concurrent_rpcs=_CALLS_AT_A_TIME,
    )
    servicer = InferenceServicer(dataplane, ModelRepositoryExtension(repository))
    add_GRPCInferenceServiceServicer_to_server(servicer, made)
    return made


def credentials(certificate: Certificate) -> grpc.ServerCredentials:
    """Return what shows a certificate, as the server last found it whenever a client connects."""

    def configuration() -> grpc.ServerCertificateConfiguration:
        return grpc.ssl_server_certificate_configuration([certificate.pem])

    return grpc.dynamic_ssl_server_credentials(configuration(), configuration)
