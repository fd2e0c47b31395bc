"""How many requests may be in flight, and how long all their bodies together may be."""

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
        IN_FLIGHT.set_function(lambda: self._requests)
        BODY_BYTES.set_function(lambda: self._bytes)

    def enter(self, length_bytes: int) -> None:
        """Take a place for a request; `leave` gives it back.

        Raises
        ------
        Overloaded
        """
        if self._requests >= self._requests_limit:
            REJECTED.labels("requests").inc()
            raise Overloaded("requests")
        self.grow(length_bytes)
        self._requests += 1

    def grow(self, length_bytes: int) -> None:
        """Take more room for the body of a request that has a place.

        Raises
        ------
        Overloaded
        """
        if self._bytes + length_bytes > self._bytes_limit:
            REJECTED.labels("bytes").inc()
            raise Overloaded("bytes")
        self._bytes += length_bytes

    def leave(self, length_bytes: int) -> None:
        """Give back the place and the whole room of a request."""
        self._requests -= 1
        self._bytes -= length_bytes
