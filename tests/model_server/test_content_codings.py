"""Bodies that come packed."""

import gzip
import json
import zlib
from collections.abc import AsyncIterator

import httpx
import pytest
from backports import zstd

from model_server.http.content_codings import ContentCodings
from model_server.http.messages import Request, Response
from model_server.inference.in_flight import InFlightLimiter
from tests.model_server import handler_transport

BODY = json.dumps({"instances": [[6.5, "é"]] * 200}).encode()
LIMIT_BYTES = 100_000


def packed_by_gzip(body: bytes) -> bytes:
    return gzip.compress(body, mtime=0)  # names of tests are made of it


def bare(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(body) + packer.flush()


def wide(body: bytes) -> bytes:
    """Pack with a window of 128 MiB, and do not tell how long the body is."""
    options: dict[int, int] = {
        zstd.CompressionParameter.window_log: 27,
        zstd.CompressionParameter.content_size_flag: 0,
    }
    packer = zstd.ZstdCompressor(options=options)
    return packer.compress(body, zstd.ZstdCompressor.FLUSH_BLOCK) + packer.flush()


async def echo(request: Request) -> Response:
    return Response(200, [(b"content-type", b"application/json")], request.body)


@pytest.fixture
def limiter() -> InFlightLimiter:
    return InFlightLimiter(10, 10 * LIMIT_BYTES)


@pytest.fixture
async def client(limiter: InFlightLimiter) -> AsyncIterator[httpx.AsyncClient]:
    async with handler_transport.client(ContentCodings(echo, limiter, LIMIT_BYTES)) as opened:
        yield opened
    assert limiter.held_bytes == 0


@pytest.mark.parametrize(
    ("coding", "packed", "body"),
    [
        ("gzip", packed_by_gzip(BODY), BODY),
        ("GZIP", packed_by_gzip(BODY), BODY),
        ("x-gzip", packed_by_gzip(BODY), BODY),
        ("gzip", packed_by_gzip(BODY[:100]) + packed_by_gzip(BODY[100:]), BODY),
        ("deflate", zlib.compress(BODY), BODY),
        ("deflate", bare(BODY), BODY),
        ("zstd", zstd.compress(BODY), BODY),
        ("zstd", zstd.compress(BODY[:100]) + zstd.compress(BODY[100:]), BODY),
        ("zstd", zstd.compress(b"x" * LIMIT_BYTES), b"x" * LIMIT_BYTES),
        ("zstd", zstd.compress(b""), b""),
        ("identity", BODY, BODY),
        ("gzip", packed_by_gzip(b"x" * LIMIT_BYTES), b"x" * LIMIT_BYTES),
        ("gzip", packed_by_gzip(b""), b""),
        ("gzip", b"", b""),
    ],
)
async def test_a_body_is_unpacked(
    client: httpx.AsyncClient, coding: str, packed: bytes, body: bytes
) -> None:
    answer = await client.post("/", content=packed, headers={"content-encoding": coding})
    assert (answer.status_code, answer.content) == (200, body)


@pytest.mark.parametrize(
    ("coding", "packed", "status", "words"),
    [
        ("br", BODY, 415, "can't read Content-Encoding 'br'; send gzip, deflate, zstd, or none"),
        ("gzip, gzip", BODY, 415, "can't read Content-Encoding 'gzip, gzip'"),
        ("", BODY, 415, "can't read Content-Encoding ''"),
        ("gzip", BODY, 400, "the body is no gzip"),
        ("deflate", b"\xff\xff", 400, "the body is no deflate"),
        ("gzip", packed_by_gzip(BODY)[:-9], 400, "the body is not whole gzip"),
        ("gzip", packed_by_gzip(BODY)[:5], 400, "the body is not whole gzip"),
        ("gzip", packed_by_gzip(BODY) + b"more", 400, "the body is no gzip"),
        ("zstd", BODY, 400, "the body is no zstd"),
        ("zstd", zstd.compress(BODY)[:-9], 400, "the body is not whole zstd"),
        ("zstd", zstd.compress(BODY)[:3], 400, "the body is not whole zstd"),
        ("zstd", zstd.compress(BODY) + b"more", 400, "the body is no zstd"),
        ("zstd", wide(b"x" * 9_000_000), 400, "Frame requires too much memory"),
        ("zstd", zstd.compress(b"\0" * 50_000_000), 413, "when it is unpacked"),
        (
            "gzip",
            packed_by_gzip(b"\0" * 50_000_000),
            413,
            "the body is longer than 100000 bytes when it is unpacked",
        ),
    ],
)
async def test_what_can_not_be_unpacked_is_told(
    client: httpx.AsyncClient, coding: str, packed: bytes, status: int, words: str
) -> None:
    answer = await client.post("/", content=packed, headers={"content-encoding": coding})
    assert answer.status_code == status
    assert words in answer.json()["error"]


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip", "gzip"),
        ("deflate", "deflate"),
        ("zstd", "zstd"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("GZIP;q=0.5, zstd;q=0", "gzip"),
        ("gzip; q=0.2, deflate; q=0.3", "deflate"),
        ("x-gzip", "gzip"),
        ("*", "zstd"),
        ("*;q=0.1, zstd;q=0", "gzip"),
        ("identity", None),
        ("identity, gzip;q=0.5", None),
        ("gzip;q=0", None),
        ("gzip;q=x", None),
        ("br", None),
        ("", None),
    ],
)
async def test_an_answer_is_packed_as_it_is_asked_for(
    limiter: InFlightLimiter, accepted: str, coding: str | None
) -> None:
    codings = ContentCodings(echo, limiter, LIMIT_BYTES)
    headers = [(b"accept-encoding", accepted.encode())]
    for body in (BODY, BODY * 20, b"short"):
        answer = await codings(Request("POST", b"/", "/", b"", headers, "1.1", body=body))
        told = dict(answer.headers)
        expected = coding if body != b"short" else None
        assert told.get(b"content-encoding", b"").decode() == (expected or "")
        assert told.get(b"vary") == (expected and b"accept-encoding")
        assert unpacked(answer.body, expected) == body
    assert limiter.held_bytes == 0


def unpacked(packed: bytes, coding: str | None) -> bytes:
    if coding == "zstd":
        return zstd.decompress(packed)
    if coding is None:
        return packed
    return gzip.decompress(packed) if coding == "gzip" else zlib.decompress(packed)
