"""Every error that a person is told of, each with the status it is answered with.

::

    ApplicationError
    ├── BadTable               400  a CSV file that can't be read
    ├── ForeignOrigin          403  a form that another site sent
    ├── TooSlow                408  a file that takes longer to come in than the limit
    ├── TooLong                413  a file that is longer than the limit
    ├── TooOften               429  more requests than a client may send
    ├── Crowded                503  more files at a time than there is room for
    └── EndpointError               no prediction can be had from the model server
        ├── Refused            400  the rows do not fit; names the row and the feature
        ├── UnknownModel       404
        ├── TooManyRows        413  fewer rows at once will do
        ├── Unexpected         502  an answer that makes no sense
        ├── Unreachable        503
        ├── Overloaded         503  worth to try again, after so many seconds
        └── Slow               504
"""


class ApplicationError(Exception):
    """The root of the tree above; its text is a sentence for people."""

    status = 500
    retry_after_s: int | None = None

    def headers(self) -> dict[str, str]:
        """Return what an answer with this error says in its head."""
        return {} if self.retry_after_s is None else {"retry-after": str(self.retry_after_s)}


class BadTable(ApplicationError):
    """A CSV file that can't be read."""

    status = 400


class ForeignOrigin(ApplicationError):
    """A form that another site sent."""

    status = 403


class TooSlow(ApplicationError):
    """A file that takes longer to come in than the limit."""

    status = 408

    def __init__(self, timeout_s: float) -> None:
        super().__init__(f"The file took longer than {timeout_s:g} seconds to arrive.")

    def headers(self) -> dict[str, str]:
        """Return that the connection is closed, as the rest of the file is still to come."""
        return {"connection": "close"}


class TooLong(ApplicationError):
    """A file that is longer than the limit."""

    status = 413

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"The file is longer than {limit_bytes / 1024**2:g} MiB.")


class TooOften(ApplicationError):
    """More requests than a client may send."""

    status = 429

    def __init__(self, retry_after_s: int) -> None:
        super().__init__("You asked more often than this server allows.")
        self.retry_after_s = retry_after_s


class Crowded(ApplicationError):
    """More files at a time than there is room for."""

    status = 503
    retry_after_s = 5

    def __init__(self) -> None:
        super().__init__("This server reads as many files as it can just now.")


class EndpointError(ApplicationError):
    """No prediction can be had from the model server."""

    status = 502


class Refused(EndpointError):
    """The rows do not fit the model.

    Parameters
    ----------
    problem : str
        What is wrong, as a clause.
    row : int, optional
        Counted from 1 among the rows that were sent.
    feature : str, optional
    """

    status = 400

    def __init__(self, problem: str, row: int | None = None, feature: str | None = None) -> None:
        super().__init__(f"The model can't use this: {problem}.")
        self.problem = problem
        self.row = row
        self.feature = feature


class UnknownModel(EndpointError):
    """The model server has no such model."""

    status = 404

    def __init__(self, name: str) -> None:
        short = name if len(name) <= 80 else f"{name[:77]}..."
        super().__init__(f"There is no model named {short!r} here.")


class TooManyRows(EndpointError):
    """The rows are longer than the model server takes at once."""

    status = 413

    def __init__(self) -> None:
        super().__init__("This is more than the model server takes at once.")


class Unexpected(EndpointError):
    """The model server's answer makes no sense; the log tells more than the person sees."""

    def __init__(self, detail: str) -> None:
        super().__init__("The model server gave an answer that makes no sense.")
        self.detail = detail


class Unreachable(EndpointError):
    """The model server does not answer."""

    status = 503
    retry_after_s = 5

    def __init__(self) -> None:
        super().__init__("The model server can't be reached just now.")


class Overloaded(EndpointError):
    """The model server has too much to do."""

    status = 503

    def __init__(self, retry_after_s: int) -> None:
        super().__init__("The model server has too much to do just now.")
        self.retry_after_s = retry_after_s


class Slow(EndpointError):
    """The model server takes longer than a person should wait."""

    status = 504

    def __init__(self, timeout_s: float) -> None:
        super().__init__(f"The model server took longer than {timeout_s:g} seconds.")
