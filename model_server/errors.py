"""Every error that this server raises on purpose, each with the status it is answered with.

::

    ModelServerError
    ├── ArtifactError           a model directory that must not be served; stops the start
    └── RequestError            the request can't be answered; the client sees the message
        ├── BadRequest          400
        ├── NotAcceptable       406
        ├── BodyTooLarge        413
        └── UnsupportedMedia    415
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
    """A request that can't be answered; ``status`` is its HTTP status."""

    status = 400


class BadRequest(RequestError):
    """The body does not fit the model."""


class NotAcceptable(RequestError):
    """No media type that the client accepts can be written."""

    status = 406


class BodyTooLarge(RequestError):
    """The body is longer than the limit."""

    status = 413


class UnsupportedMedia(RequestError):
    """The body's media type can't be read."""

    status = 415
