"""How many requests may be in flight, and how much memory they may take together.

What a request takes is counted in three parts: its body, from the first byte on; what working on it
takes, which is told by `need` before it is taken; and its answer, until that is read.
"""

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar

from model_server.errors import Overloaded, TooLarge
from model_server.metrics import IN_FLIGHT, MEMORY_BYTES, MEMORY_LIMIT, REJECTED


class InFlightLimiter:
    """A limit on requests in flight and on the memory that they take, over all protocols.

    Parameters
    ----------
    requests_limit : int
    bytes_limit : int
        Of their memory together.

    Attributes
    ----------
    bytes_limit : int
    held_bytes : int
        What is taken now.
    reclaim : callable
        Asked for room of so many bytes, where clients are waited for who have some.
    """

    def __init__(self, requests_limit: int, bytes_limit: int) -> None:
        self._requests_limit = requests_limit
        self._requests = 0
        self.bytes_limit = bytes_limit
        self.held_bytes = 0
        self.reclaim: Callable[[int], None] = lambda _: None

    def tell(self) -> None:
        """Have the metrics tell of this limiter."""
        IN_FLIGHT.set_function(lambda: self._requests)
        MEMORY_BYTES.set_function(lambda: self.held_bytes)
        MEMORY_LIMIT.set_function(lambda: self.bytes_limit)

    @contextlib.contextmanager
    def inside(self, length_bytes: int) -> Iterator[None]:
        """Hold place and room for a request whose body has come in, and for what it says to need.

        Raises
        ------
        RequestError
        """
        with self.room(length_bytes):
            self.enter()
            try:
                with self.working(length_bytes):
                    yield
            finally:
                self.leave()

    @contextlib.contextmanager
    def room(self, length_bytes: int) -> Iterator[None]:
        """Hold room, if need be that of clients who are waited for and have some.

        Raises
        ------
        Overloaded
        """
        self.reclaim_and_grow(length_bytes)
        try:
            yield
        finally:
            self.shrink(length_bytes)

    def working(self, body_bytes: int) -> "_Work":
        """Hold, in a block, room for what the request that this task works on says to `need`.

        Parameters
        ----------
        body_bytes : int
            The room that it has already.
        """
        return _Work(self, body_bytes)

    def enter(self) -> None:
        """Take a place for a whole request; `leave` gives it back.

        Raises
        ------
        Overloaded
        """
        if self._requests >= self._requests_limit:
            REJECTED.labels("requests").inc()
            raise Overloaded("requests")
        self._requests += 1

    def leave(self) -> None:
        """Give back the place of a request."""
        self._requests -= 1

    def check(self, length_bytes: int) -> None:
        """See that one request may take so much, were it alone.

        Raises
        ------
        TooLarge
        """
        if length_bytes > self.bytes_limit:
            REJECTED.labels("memory").inc()
            raise TooLarge(
                f"a request like this takes up to {_mib(length_bytes)} MiB of memory, and all may "
                f"take {_mib(self.bytes_limit)} MiB (--bytes-limit, or what the container's limit "
                "leaves); send fewer rows, or give the server more memory"
            )

    def fits(self, length_bytes: int) -> bool:
        """Tell whether there is room for so much more."""
        return self.held_bytes + length_bytes <= self.bytes_limit

    def grow(self, length_bytes: int) -> None:
        """Take room; `shrink` gives it back.

        Raises
        ------
        Overloaded
        """
        if not self.fits(length_bytes):
            REJECTED.labels("bytes").inc()
            raise Overloaded("bytes")
        self.held_bytes += length_bytes

    def reclaim_and_grow(self, length_bytes: int) -> None:
        """Take room, or that of clients who are waited for and have some.

        Raises
        ------
        Overloaded
        """
        if not self.fits(length_bytes):
            self.reclaim(length_bytes)
        self.grow(length_bytes)

    def add(self, length_bytes: int) -> None:
        """Take room whether it is there or not."""
        self.held_bytes += length_bytes

    def shrink(self, length_bytes: int) -> None:
        """Give back room."""
        self.held_bytes -= length_bytes


class _Work:
    """What a request takes beside its body while it is worked on.

    Every request passes here, so it is no generator, and what fits is looked at once.
    """

    __slots__ = ("_body_bytes", "_limiter", "_token", "held_bytes")

    def __init__(self, limiter: InFlightLimiter, body_bytes: int) -> None:
        self._limiter = limiter
        self._body_bytes = body_bytes
        self.held_bytes = 0

    def __enter__(self) -> None:
        self._token = _WORK.set(self)

    def __exit__(self, *_: object) -> None:
        _WORK.reset(self._token)
        self._limiter.held_bytes -= self.held_bytes

    def need(self, length_bytes: int) -> None:
        more_bytes = length_bytes - self.held_bytes
        if more_bytes <= 0:
            return
        limiter = self._limiter
        if limiter.held_bytes + more_bytes > limiter.bytes_limit:
            limiter.check(self._body_bytes + length_bytes)
            limiter.reclaim_and_grow(more_bytes)
        else:
            limiter.held_bytes += more_bytes
        self.held_bytes = length_bytes


_WORK: ContextVar[_Work] = ContextVar("work")


def need(length_bytes: int) -> None:
    """See that the request that is worked on may take so much memory, beside its body.

    Of several stages the one that needs most counts; it is given back when the request is answered.
    Nothing is counted where no limiter is, as for golden rows.

    Parameters
    ----------
    length_bytes : int

    Raises
    ------
    TooLarge
        If there will never be so much.
    Overloaded
        If there is not so much now.
    """
    work = _WORK.get(None)
    if work is not None:
        work.need(length_bytes)


def _mib(length_bytes: int) -> str:
    return f"{length_bytes / 1024**2:.3g}"
