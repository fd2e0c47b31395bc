"""KServe's errors as ours, so that each has one status, whatever the protocol."""

import logging

from kserve import errors as kserve

from model_server.errors import (
    BadRequest,
    ModelNotFound,
    ModelNotReady,
    NotOffered,
    RequestError,
    Unexpected,
)

log = logging.getLogger("model_server")

_OURS: dict[type[Exception], type[RequestError]] = {
    kserve.InvalidInput: BadRequest,
    kserve.ModelNotFound: ModelNotFound,
    kserve.ModelNotReady: ModelNotReady,
    NotImplementedError: NotOffered,
}


def ours(error: Exception) -> RequestError:
    """Return what a client is told of an error; one that nobody expected is logged."""
    if isinstance(error, RequestError):
        return error
    for kind, our in _OURS.items():
        if isinstance(error, kind):
            return our(str(error))
    log.error("a request failed", exc_info=error)
    return Unexpected(error)
