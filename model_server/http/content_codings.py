"""Bodies that come packed, unpacked within the limit on bodies, and answers that go packed.

Source: RFC 9110, sections 8.4 and 12.5.3; RFC 9659 for the window of zstd.
"""

import asyncio
import functools
import re
import zlib
from collections.abc import Awaitable, Callable, Iterator

from backports import zstd

from model_server.errors import BadRequest, TooLarge, UnsupportedMedia
from model_server.http.messages import Handler, Request, Response
from model_server.inference.in_flight import InFlightLimiter
from model_server.metrics import REJECTED

_GZIP, _ZLIB, _BARE = zlib.MAX_WBITS | 16, zlib.MAX_WBITS, -zlib.MAX_WBITS
_ZSTD_LIMITS: dict[int, int] = {zstd.DecompressionParameter.window_log_max: 23}
"""8 MiB, which every client keeps to."""

_LEVEL = 1
"""The swiftest: a network is seldom so slow that it waits for less."""

_QVALUE = re.compile(r"0(\.\d{0,3})?|1(\.0{0,3})?")

_PIECE_BYTES = 64 * 1024
"""So much is unpacked without a pause."""

_SHORT_BYTES = 1024
"""An answer that is shorter goes as it is: its head and a packet's other bytes are as long."""

_AT_ONCE_BYTES = 32 * 1024
"""A longer one is packed by a thread."""


class ContentCodings:
    """Handler before another, which knows of packed bodies and answers nothing.

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
        fields = request.fields
        if b"content-encoding" not in fields and b"accept-encoding" not in fields:
            return self._handler(request)
        return self._coded(request)

    async def _coded(self, request: Request) -> Response:
        coding = request.header(b"content-encoding")
        packing = _chosen(request.header(b"accept-encoding"))
        if coding is None or not request.body:
            response = await self._handler(request)
        else:
            response = await self._unpacked(request, coding.strip().lower())
        length_bytes = len(response.body)
        if packing is None or length_bytes < _SHORT_BYTES or not self._limiter.fits(length_bytes):
            return response
        return await self._packed(response, packing)

    async def _unpacked(self, request: Request, coding: str) -> Response:
        if coding == "identity":
            return await self._handler(request)
        unpack = _UNPACKING.get(coding)
        if unpack is None:
            raise UnsupportedMedia(
                f"can't read Content-Encoding {coding!r:.80}; send gzip, deflate, zstd, or none"
            )
        parts, held_bytes = [], 0
        try:
            for part in unpack(request.body):
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

    async def _packed(self, response: Response, coding: str) -> Response:
        pack, body = _PACKING[coding], response.body
        self._limiter.add(len(body))
        try:
            if len(body) > _AT_ONCE_BYTES:
                packed = await asyncio.to_thread(pack, body)
            else:
                packed = pack(body)
        finally:
            self._limiter.shrink(len(body))
        coded = [(b"content-encoding", coding.encode()), (b"vary", b"accept-encoding")]
        return Response(response.status, [*response.headers, *coded], packed, response.close)


def _inflated(packed: bytes, window: int, coding: str) -> Iterator[bytes]:
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


def _from_zstd(packed: bytes) -> Iterator[bytes]:
    """Yield what is packed, of one frame or several; see `_inflated`."""
    while packed:
        unpacker = zstd.ZstdDecompressor(options=_ZSTD_LIMITS)
        while not unpacker.eof:
            try:
                part = unpacker.decompress(packed, _PIECE_BYTES)
            except zstd.ZstdError as error:
                raise BadRequest(f"the body is no zstd: {error}") from None
            if not part and unpacker.needs_input and not unpacker.eof:
                raise BadRequest("the body is not whole zstd")
            packed = b""  # it keeps the rest
            if part:
                yield part
        packed = unpacker.unused_data


_UNPACKING: dict[str, Callable[[bytes], Iterator[bytes]]] = {
    "gzip": functools.partial(_inflated, window=_GZIP, coding="gzip"),
    "x-gzip": functools.partial(_inflated, window=_GZIP, coding="gzip"),
    "deflate": functools.partial(_inflated, window=_ZLIB, coding="deflate"),
    "zstd": _from_zstd,
}

_PACKING: dict[str, Callable[[bytes], bytes]] = {
    "zstd": zstd.compress,
    "gzip": functools.partial(zlib.compress, level=_LEVEL, wbits=_GZIP),
    "deflate": functools.partial(zlib.compress, level=_LEVEL, wbits=_ZLIB),
}
"""Those that a client likes as much as others stand before these."""


@functools.lru_cache(maxsize=128)
def _chosen(accepted: str | None) -> str | None:
    """Return how an answer is packed for an ``Accept-Encoding``; None for not at all."""
    liking = {}
    for part in (accepted or "").split(","):
        coding, _, parameters = part.partition(";")
        liking[coding.strip().lower().removeprefix("x-")] = _weight(parameters)
    best = max(_PACKING, key=lambda coding: liking.get(coding, liking.get("*", 0.0)))
    weight = liking.get(best, liking.get("*", 0.0))
    return best if weight > 0 and weight >= liking.get("identity", 0.0) else None


def _weight(parameters: str) -> float:
    """Return the value of ``q``; 0 where it is none."""
    name, _, value = parameters.strip().partition("=")
    if not name:
        return 1.0
    written = _QVALUE.fullmatch(value.strip()) if name.strip().lower() == "q" else None
    return float(written[0]) if written else 0.0
