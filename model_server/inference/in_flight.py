"""How many requests may be in flight, and how long all their bodies together may be."""

import contextlib
from collections.abc import Iterator

from model_server.errors import Overloaded
from model_server.metrics import BODY_BYTES, IN_FLIGHT, REJECTED


class InFlightLimiter:
    """A limit on requests in flight and on their bodies, over all protocols.

    Parameters
    ----------
    requests_limit : int
    bytes_limit : int
        Of all bodies together.
    """

    def __init__(self, requests_limit: int, bytes_limit: int) -> None:
        self._requests_limit = requests_limit
        self._bytes_limit = bytes_limit
        self._requests = 0
        self._bytes = 0

    def tell(self) -> None:
        """Have the metrics tell of this limiter."""
        IN_FLIGHT.set_function(lambda: self._requests)
        BODY_BYTES.set_function(lambda: self._bytes)

    @contextlib.contextmanager
    def inside(self, length_bytes: int) -> Iterator[None]:
        """Hold place and room for a request whose body has come in.

        Raises
        ------
        Overloaded
        """
        self.grow(length_bytes)
        try:
            self.enter()
            try:
                yield
            finally:
                self.leave()
        finally:
            self.shrink(length_bytes)

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

    def fits(self, length_bytes: int) -> bool:
        """Tell whether there is room for so much more of bodies."""
        return self._bytes + length_bytes <= self._bytes_limit

    def grow(self, length_bytes: int) -> None:
        """Take room for what has come in of a body; `shrink` gives it back.

        Raises
        ------
        Overloaded
        """
        if not self.fits(length_bytes):
            REJECTED.labels("bytes").inc()
            raise Overloaded("bytes")
        self.add(length_bytes)

    def add(self, length_bytes: int) -> None:
        """Take room whether it is there or not."""
        self._bytes += length_bytes

    def shrink(self, length_bytes: int) -> None:
        """Give back room."""
        self._bytes -= length_bytes
