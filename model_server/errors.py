"""Every error that this server raises on purpose, each with the status it is answered with.

::

    ModelServerError
    ├── ArtifactError           a model directory that must not be served; stops the start
    └── RequestError            the request can't be answered; the client sees the message
        ├── BadRequest          400
        ├── Unauthorized        401
        ├── NotLoaded           404
        ├── NotAcceptable       406
        ├── TooSlow             408
        ├── AlreadyLoaded       409
        ├── TooLarge            413
        ├── UnsupportedMedia    415
        ├── HeaderTooLarge      431
        ├── Unexpected          500
        ├── Overloaded          503
        └── MemoryShort         507
"""

from pathlib import Path


class ModelServerError(Exception):
    """The root of the tree above."""


class ArtifactError(ModelServerError):
    """A model directory is broken; the message names directory, file and cure on one line.

    Parameters
    ----------
    directory : Path
        The model directory.
    file : str
        The file in it that is at fault.
    problem : str
        What is wrong, as a clause.
    cure : str
        What the operator can do, as a clause.
    """

    def __init__(self, directory: Path, file: str, problem: str, cure: str) -> None:
        super().__init__(f"{directory}: {file}: {problem}; {cure}")
        self.directory = directory
        self.file = file


class RequestError(ModelServerError):
    """A request that can't be answered; its HTTP status, and headers for its answer."""

    status = 400
    headers: tuple[tuple[bytes, bytes], ...] = ()


class BadRequest(RequestError):
    """The body does not fit the model."""


class Unauthorized(RequestError):
    """The bearer token is missing or not one of ours."""

    status = 401
    headers = ((b"www-authenticate", b"Bearer"),)


class NotLoaded(RequestError):
    """The platform has no model of this name loaded."""

    status = 404


class NotAcceptable(RequestError):
    """No media type that the client accepts can be written."""

    status = 406


class TooSlow(RequestError):
    """The request did not come in whole in the time that it may take."""

    status = 408


class AlreadyLoaded(RequestError):
    """The platform has a model of this name loaded."""

    status = 409


class TooLarge(RequestError):
    """The body is longer, or has more rows, than the limit."""

    status = 413


class UnsupportedMedia(RequestError):
    """The body's media type can't be read."""

    status = 415


class HeaderTooLarge(RequestError):
    """The request's line and headers are longer than the limit."""

    status = 431


class Unexpected(RequestError):
    """The fault is the server's; its log tells more."""

    status = 500


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

    def __init__(self, reason: str, retry_after_s: int = 1) -> None:
        super().__init__(f"too much to do ({reason}); ask again in {retry_after_s} s")
        self.reason = reason
        self.headers = ((b"retry-after", str(retry_after_s).encode()),)


class MemoryShort(RequestError):
    """There is no room for one more model."""

    status = 507
