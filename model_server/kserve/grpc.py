"""The gRPC server: KServe's v2 service behind our limits, with an error's right status."""

from collections.abc import Callable
from typing import Any

import grpc
from grpc import StatusCode
from grpc_interceptor.server import AsyncServerInterceptor
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import (
    add_GRPCInferenceServiceServicer_to_server,
)
from kserve.protocol.grpc.servicer import InferenceServicer
from kserve.protocol.model_repository_extension import ModelRepositoryExtension
from typing_extensions import override

from model_server.errors import NotOffered
from model_server.http.authentication import Tokens
from model_server.http.tls import Certificate
from model_server.inference.in_flight import InFlightLimiter
from model_server.kserve.errors import ours
from model_server.kserve.repository import Repository
from model_server.kserve.rest import BytesDataPlane

_OPEN = ("ServerLive", "ServerReady")
_CALLS = (*_OPEN, "ModelReady", "ServerMetadata", "ModelMetadata", "ModelInfer")
_REPOSITORY_CALLS = ("RepositoryModelLoad", "RepositoryModelUnload")


class Interceptor(AsyncServerInterceptor):
    """What each call must pass, and what its errors become.

    Parameters
    ----------
    limiter : InFlightLimiter
    tokens : Tokens, optional
    repository : bool
        Whether models may be loaded and unloaded.
    """

    def __init__(
        self, limiter: InFlightLimiter, tokens: Tokens | None, *, repository: bool
    ) -> None:
        self._limiter = limiter
        self._tokens = tokens
        self._calls = (*_CALLS, *_REPOSITORY_CALLS) if repository else _CALLS

    @override
    async def intercept(
        self,
        method: Callable[[Any, grpc.aio.ServicerContext[Any, Any]], Any],
        request_or_iterator: Any,
        context: grpc.aio.ServicerContext[Any, Any],
        method_name: str,
    ) -> Any:
        """Answer a call, or end it with a status."""
        name = method_name.rpartition("/")[2]
        if name in _OPEN:
            return await method(request_or_iterator, context)
        length_bytes = request_or_iterator.ByteSize()
        try:
            if name not in self._calls:
                raise NotOffered(f"{name} is not offered by this server")
            if self._tokens is not None:
                metadata = dict(context.invocation_metadata() or ())
                self._tokens.check(str(metadata.get("authorization", "")).encode())
            with self._limiter.inside(length_bytes):
                return await method(request_or_iterator, context)
        except Exception as error:  # noqa: BLE001 - the client gets a status, the log the rest
            told = ours(error)
            await context.abort(StatusCode[told.grpc_status], str(told))


def server(
    dataplane: BytesDataPlane, repository: Repository, interceptor: Interceptor, limit_bytes: int
) -> grpc.aio.Server:
    """Return a server of KServe's v2 service, without a port yet.

    Parameters
    ----------
    dataplane : BytesDataPlane
    repository : Repository
    interceptor : Interceptor
    limit_bytes : int
        Longest message that it takes.
    """
    made = grpc.aio.server(
        interceptors=(interceptor,),
        options=[
            ("grpc.max_receive_message_length", limit_bytes),
            ("grpc.max_send_message_length", -1),
            ("grpc.so_reuseport", 0),
        ],
    )
    servicer = InferenceServicer(dataplane, ModelRepositoryExtension(repository))
    add_GRPCInferenceServiceServicer_to_server(servicer, made)
    return made


def credentials(certificate: Certificate) -> grpc.ServerCredentials:
    """Return what shows a certificate, as the server last found it whenever a client connects."""

    def configuration() -> grpc.ServerCertificateConfiguration:
        return grpc.ssl_server_certificate_configuration([certificate.pem])

    return grpc.dynamic_ssl_server_credentials(configuration(), configuration)
