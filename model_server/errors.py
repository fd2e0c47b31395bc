"""Every error that this server raises on purpose, each with the statuses it is answered with.

::

    ModelServerError
    ├── ModelDirectoryError     a model directory that must not be served; stops the start
    ├── WorkerLost              a process that was to predict has ended
    └── RequestError            the request can't be answered; the client sees the message
        ├── BadRequest          400  INVALID_ARGUMENT
        ├── Unauthorized        401  UNAUTHENTICATED
        ├── Forbidden           403  PERMISSION_DENIED
        ├── NotOffered          404  UNIMPLEMENTED
        ├── ModelNotFound       404  NOT_FOUND
        ├── MethodNotAllowed    405
        ├── NotAcceptable       406
        ├── TooSlow             408  DEADLINE_EXCEEDED
        ├── AlreadyLoaded       409
        ├── TooLarge            413  RESOURCE_EXHAUSTED
        ├── UnsupportedMedia    415
        ├── HeaderTooLarge      431
        ├── Unexpected          500  INTERNAL
        ├── Unsupported         501
        ├── ModelNotReady       503  UNAVAILABLE
        ├── Overloaded          503  UNAVAILABLE
        ├── Overran             504  DEADLINE_EXCEEDED
        └── MemoryShort         507
"""

from pathlib import Path
from typing import Any, Self


class ModelServerError(Exception):
    """The root of the tree above."""


class ModelDirectoryError(ModelServerError):
    """A model directory is broken; the message names directory, file and cure on one line.

    Parameters
    ----------
    directory : Path
        The model directory.
    file : str
        The file in it that is at fault; empty where it is the directory.
    problem : str
        What is wrong, as a clause.
    cure : str
        What the operator can do, as a clause.
    """

    def __init__(self, directory: Path, file: str, problem: str, cure: str) -> None:
        where = f"{directory}: {file}" if file else str(directory)
        told = f"{where}: {problem}; {cure}"
        super().__init__(told.encode(errors="backslashreplace").decode())  # names are of any bytes
        self.directory = directory
        self.file = file
        self._told = (directory, file, problem, cure)

    def __reduce__(self) -> tuple[type[Self], tuple[Path, str, str, str]]:
        """Be pickled as what it was made of, to go from one process to another."""
        return type(self), self._told


class WorkerLost(ModelServerError):
    """A process that was to predict has ended."""


class RequestError(ModelServerError):
    """A request that can't be answered.

    Attributes
    ----------
    status : int
        Of HTTP.
    grpc_status : str
    headers : tuple of (bytes, bytes)
        For the answer.
    members : dict
        What the answer's object holds beside the message.
    """

    status = 400
    grpc_status = "INVALID_ARGUMENT"
    headers: tuple[tuple[bytes, bytes], ...] = ()

    def __reduce__(self) -> tuple[Any, ...]:
        """Be pickled as it is, to go from one process to another, whatever it was made of."""
        return _made_again, (type(self), self.args), self.__dict__

    @property
    def members(self) -> dict[str, Any]:
        """What a program needs of the message."""
        return {}


def _made_again(kind: type[RequestError], words: tuple[Any, ...]) -> RequestError:
    return kind.__new__(kind, *words)


class BadRequest(RequestError):
    """The body does not fit the model.

    Parameters
    ----------
    message : str
    row : int, optional
        The row at fault, counted from 1.
    feature : str, optional
        The feature at fault.
    """

    def __init__(self, message: str, *, row: int | None = None, feature: str | None = None) -> None:
        super().__init__(message)
        self.row = row
        self.feature = feature

    @property
    def members(self) -> dict[str, Any]:
        """``row`` and ``feature``, where one is at fault."""
        named = {"row": self.row, "feature": self.feature}
        return {name: value for name, value in named.items() if value is not None}


class Unauthorized(RequestError):
    """The bearer token is missing or not one of ours."""

    status = 401
    grpc_status = "UNAUTHENTICATED"
    headers = ((b"www-authenticate", b"Bearer"),)


class Forbidden(RequestError):
    """Pages of this origin may not ask."""

    status = 403
    grpc_status = "PERMISSION_DENIED"


class NotOffered(RequestError):
    """There is no such route on this server."""

    status = 404
    grpc_status = "UNIMPLEMENTED"


class ModelNotFound(RequestError):
    """There is no model of this name."""

    status = 404
    grpc_status = "NOT_FOUND"


class MethodNotAllowed(RequestError):
    """The route is asked by another method.

    Parameters
    ----------
    message : str
    allowed : str
        The methods by which it is asked, parted by commas.
    """

    status = 405

    def __init__(self, message: str, allowed: str) -> None:
        super().__init__(message)
        self.headers = ((b"allow", allowed.encode()),)


class NotAcceptable(RequestError):
    """No media type that the client accepts can be written."""

    status = 406


class TooSlow(RequestError):
    """The request did not come in whole in the time that it may take."""

    status = 408
    grpc_status = "DEADLINE_EXCEEDED"


class AlreadyLoaded(RequestError):
    """The platform has a model of this name loaded."""

    status = 409


class TooLarge(RequestError):
    """The body is longer, or has more rows, than the limit."""

    status = 413
    grpc_status = "RESOURCE_EXHAUSTED"


class UnsupportedMedia(RequestError):
    """The body's media type can't be read."""

    status = 415


class HeaderTooLarge(RequestError):
    """The request's line and headers are longer than the limit."""

    status = 431


class Unexpected(RequestError):
    """The fault is the server's; its log tells more.

    Parameters
    ----------
    error : Exception
    """

    status = 500
    grpc_status = "INTERNAL"

    def __init__(self, error: Exception) -> None:
        super().__init__(f"{type(error).__name__}: see the server's log")


class Unsupported(RequestError):
    """A part of HTTP that this server does not do."""

    status = 501


class ModelNotReady(RequestError):
    """The model can't answer now."""

    status = 503
    grpc_status = "UNAVAILABLE"


class Overloaded(RequestError):
    """There is more to do than can be begun in time.

    Parameters
    ----------
    reason : str
        The limit that was met, as the metric of rejected requests names it.
    retry_after_s : int
        When it is worth to ask again.
    """

    status = 503
    grpc_status = "UNAVAILABLE"

    def __init__(self, reason: str, retry_after_s: int = 1) -> None:
        super().__init__(f"too much to do ({reason}); ask again in {retry_after_s} s")
        self.reason = reason
        self.headers = ((b"retry-after", str(retry_after_s).encode()),)


class Overran(RequestError):
    """The prediction took much longer than was expected, and was ended.

    Parameters
    ----------
    time_limit_s : float
    """

    status = 504
    grpc_status = "DEADLINE_EXCEEDED"

    def __init__(self, time_limit_s: float) -> None:
        super().__init__(
            f"the prediction took more than {time_limit_s:g} s and was ended; send fewer rows at "
            "a time, or raise --request-limit-s"
        )


class MemoryShort(RequestError):
    """There is no room for one more model."""

    status = 507


def first_line(error: Exception) -> str:
    """Return what kind of error it is and what it says first, not too long."""
    return f"{type(error).__name__}: {error}".splitlines()[0][:200]
