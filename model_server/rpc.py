"""The gRPC server: KServe's v2 service behind our limits, with an error's right status."""

import logging
from collections.abc import Callable
from typing import Any

import grpc
from grpc import StatusCode
from grpc_interceptor.server import AsyncServerInterceptor
from kserve.errors import InvalidInput, ModelNotFound, ModelNotReady
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import (
    add_GRPCInferenceServiceServicer_to_server,
)
from kserve.protocol.grpc.servicer import InferenceServicer

from model_server import answers
from model_server.admission import Places
from model_server.bearer import Tokens
from model_server.errors import Overloaded, RequestError, TooLarge, Unauthorized

log = logging.getLogger("model_server")

_OPEN = ("ServerLive", "ServerReady")
_REPOSITORY = ("RepositoryModelLoad", "RepositoryModelUnload")

_STATUSES: tuple[tuple[type[Exception], StatusCode], ...] = (
    (Unauthorized, StatusCode.UNAUTHENTICATED),
    (Overloaded, StatusCode.UNAVAILABLE),
    (TooLarge, StatusCode.RESOURCE_EXHAUSTED),
    (RequestError, StatusCode.INVALID_ARGUMENT),
    (InvalidInput, StatusCode.INVALID_ARGUMENT),
    (ModelNotFound, StatusCode.NOT_FOUND),
    (ModelNotReady, StatusCode.UNAVAILABLE),
    (NotImplementedError, StatusCode.UNIMPLEMENTED),
)
"""The first that fits counts."""


class Gate(AsyncServerInterceptor):
    """What each call must pass, and what its errors become.

    Parameters
    ----------
    places : Places
    tokens : Tokens, optional
    repository : bool
        Whether models may be loaded and unloaded.
    """

    def __init__(self, places: Places, tokens: Tokens | None, *, repository: bool) -> None:
        self._places = places
        self._tokens = tokens
        self._closed = () if repository else _REPOSITORY

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
            if name in self._closed:
                raise NotImplementedError("models can't be loaded and unloaded on this server")
            if self._tokens is not None:
                metadata = dict(context.invocation_metadata() or ())
                self._tokens.check(str(metadata.get("authorization", "")).encode())
            self._places.enter(length_bytes)
            try:
                return await method(request_or_iterator, context)
            finally:
                self._places.leave(length_bytes)
        except Exception as error:  # noqa: BLE001 - the client gets a status, the log the rest
            await _abort(context, name, error)


async def _abort(context: grpc.aio.ServicerContext[Any, Any], name: str, error: Exception) -> None:
    for kind, status in _STATUSES:
        if isinstance(error, kind):
            await context.abort(status, str(error))
    log.error("%s failed", name, exc_info=error)
    await context.abort(StatusCode.INTERNAL, answers.unexpected(error))


def build(servicer: InferenceServicer, gate: Gate, limit_bytes: int) -> grpc.aio.Server:
    """Return a server of KServe's v2 service, without a port yet.

    Parameters
    ----------
    servicer : InferenceServicer
    gate : Gate
    limit_bytes : int
        Longest message that it takes.
    """
    server = grpc.aio.server(
        interceptors=(gate,),
        options=[
            ("grpc.max_receive_message_length", limit_bytes),
            ("grpc.max_send_message_length", -1),
            ("grpc.so_reuseport", 0),
        ],
    )
    add_GRPCInferenceServiceServicer_to_server(servicer, server)
    return server
