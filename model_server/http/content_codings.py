"""Bodies that come packed, by gzip or deflate, unpacked within the limit on bodies.

Source: RFC 9110, section 8.4.
"""

import asyncio
import zlib
from collections.abc import Awaitable, Iterator

from model_server.errors import BadRequest, TooLarge, UnsupportedMedia
from model_server.http.messages import Handler, Request, Response
from model_server.inference.in_flight import InFlightLimiter
from model_server.metrics import REJECTED

_GZIP, _ZLIB, _BARE = zlib.MAX_WBITS | 16, zlib.MAX_WBITS, -zlib.MAX_WBITS
_CODINGS = {"gzip": _GZIP, "x-gzip": _GZIP, "deflate": _ZLIB}

_PIECE_BYTES = 64 * 1024
"""So much is unpacked without a pause."""


class Unpacking:
    """Handler before another, which gets bodies as they were before they were packed.

    Parameters
    ----------
    handler : handler
    limiter : InFlightLimiter
        Counts what comes out.
    limit_bytes : int
        The longest body, unpacked.
    """

    def __init__(self, handler: Handler, limiter: InFlightLimiter, limit_bytes: int) -> None:
        self._handler = handler
        self._limiter = limiter
        self._limit_bytes = limit_bytes

    def __call__(self, request: Request) -> Awaitable[Response]:
        """Answer a request.

        Raises
        ------
        RequestError
        """
        coding = request.header(b"content-encoding")
        if coding is None or not request.body:
            return self._handler(request)
        return self._unpacked(request, coding.strip().lower())

    async def _unpacked(self, request: Request, coding: str) -> Response:
        if coding == "identity":
            return await self._handler(request)
        window = _CODINGS.get(coding)
        if window is None:
            raise UnsupportedMedia(
                f"can't read Content-Encoding {coding!r:.80}; send gzip, deflate, or none"
            )
        parts, held_bytes = [], 0
        try:
            for part in _pieces(request.body, window, coding):
                self._limiter.reclaim_and_grow(len(part))
                held_bytes += len(part)
                if held_bytes > self._limit_bytes:
                    REJECTED.labels("body").inc()
                    raise TooLarge(
                        f"the body is longer than {self._limit_bytes} bytes when it is unpacked; "
                        "send fewer rows"
                    )
                parts.append(part)
                await asyncio.sleep(0)
            request.body = b"".join(parts)
            parts.clear()
            return await self._handler(request)
        finally:
            self._limiter.shrink(held_bytes)


def _pieces(packed: bytes, window: int, coding: str) -> Iterator[bytes]:
    """Yield what is packed, of one member or several.

    Raises
    ------
    BadRequest
        If it is none, or not whole.
    """
    if window == _ZLIB and not _begins_zlib(packed):
        window = _BARE  # as some clients have deflate
    while packed:
        unpacker = zlib.decompressobj(window)
        while not unpacker.eof:
            try:
                part = unpacker.decompress(packed, _PIECE_BYTES)
            except zlib.error as error:
                raise BadRequest(f"the body is no {coding}: {error}") from None
            if not part and not unpacker.unconsumed_tail and not unpacker.eof:
                raise BadRequest(f"the body is not whole {coding}")
            packed = unpacker.unconsumed_tail
            if part:
                yield part
        packed = unpacker.unused_data


def _begins_zlib(packed: bytes) -> bool:
    """Tell whether it begins as RFC 1950 says."""
    return len(packed) > 1 and packed[0] & 15 == 8 and (packed[0] << 8 | packed[1]) % 31 == 0
