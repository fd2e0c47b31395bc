"""Bodies that come packed."""

import gzip
import json
import zlib
from collections.abc import AsyncIterator

import httpx
import pytest

from model_server.http.content_codings import Unpacking
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


async def echo(request: Request) -> Response:
    return Response(200, [(b"content-type", b"application/json")], request.body)


@pytest.fixture
def limiter() -> InFlightLimiter:
    return InFlightLimiter(10, 10 * LIMIT_BYTES)


@pytest.fixture
async def client(limiter: InFlightLimiter) -> AsyncIterator[httpx.AsyncClient]:
    async with handler_transport.client(Unpacking(echo, limiter, LIMIT_BYTES)) as opened:
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
        ("br", BODY, 415, "can't read Content-Encoding 'br'; send gzip, deflate, or none"),
        ("gzip, gzip", BODY, 415, "can't read Content-Encoding 'gzip, gzip'"),
        ("", BODY, 415, "can't read Content-Encoding ''"),
        ("gzip", BODY, 400, "the body is no gzip"),
        ("deflate", b"\xff\xff", 400, "the body is no deflate"),
        ("gzip", packed_by_gzip(BODY)[:-9], 400, "the body is not whole gzip"),
        ("gzip", packed_by_gzip(BODY)[:5], 400, "the body is not whole gzip"),
        ("gzip", packed_by_gzip(BODY) + b"more", 400, "the body is no gzip"),
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
