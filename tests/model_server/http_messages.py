"""What clients send as a request, right and wrong, and what has to come of it."""

from typing import NamedTuple

WRONG = 400


class Message(NamedTuple):
    """A request as it is sent.

    Attributes
    ----------
    sent : bytes
    method : str
    refusal : int
        The status of the connection's own answer; 0 where the handler is asked.
    ends : bool
        Whether its answer is the last.
    body : bytes
        That the handler is to see.
    waits : bool
        Whether it asks to be told to send its body.
    """

    sent: bytes
    method: str = "GET"
    refusal: int = 0
    ends: bool = False
    body: bytes = b""
    waits: bool = False

    @property
    def counts(self) -> bool:
        return self.method not in ("GET", "HEAD")


def get(lines: str = "", method: str = "GET", version: str = "1.1") -> bytes:
    """Write a head; the number in its target is filled in later."""
    return f"{method} /NUMBER HTTP/{version}\nhost: x\n{lines}\n".replace("\n", "\r\n").encode()


def length(body: bytes) -> str:
    return f"content-length: {len(body)}\n"


def chunks(body: bytes, size: int = 7) -> bytes:
    parts = [body[begin : begin + size] for begin in range(0, len(body), size)]
    return b"".join(b"%x;x=y\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n"


BODY, LARGE, TOO_LARGE = b'{"rows": [[6]]}', b"x" * 900, b"y" * 1001
CHUNKED, EXPECT = "transfer-encoding: chunked\n", "expect: 100-continue\n"
OFFER = "connection: Upgrade, HTTP2-Settings\nupgrade: h2c\nhttp2-settings: AAEA\n"
END = "connection: close\n"


def _post(lines: str, body: bytes, coded: bytes = b"", **more: object) -> Message:
    return Message(get(lines, "POST") + (coded or body), "POST", body=body, **more)  # type: ignore[arg-type]


RIGHT = {
    "GET": Message(get()),
    "GET with a long head": Message(get(f"x: {'y' * 500}\n")),
    "HEAD": Message(get(method="HEAD"), "HEAD"),
    "HEAD with a body": Message(get(length(BODY), "HEAD") + BODY, "HEAD", body=BODY),
    "POST": _post(length(BODY), BODY),
    "POST of much": _post(length(LARGE), LARGE),
    "POST of nothing": _post(length(b""), b""),
    "chunks": _post(CHUNKED, BODY, chunks(BODY) + b"\r\n"),
    "chunks and a trailer": _post(CHUNKED, LARGE, chunks(LARGE, 300) + b"host: y\r\n\r\n"),
    "waits": _post(length(BODY) + EXPECT, BODY, waits=True),
    "waits with chunks": _post(CHUNKED + EXPECT, BODY, chunks(BODY) + b"\r\n", waits=True),
    "waits, in vain as it is of HTTP/1.0": Message(
        get(length(BODY) + EXPECT, "POST", "1.0") + BODY, "POST", body=BODY, ends=True
    ),
    "offer": _post(length(BODY) + OFFER, BODY),
    "offer with chunks": _post(CHUNKED + OFFER, BODY, chunks(BODY) + b"\r\n"),
    "offer without a body": Message(get(OFFER)),
    "the last": Message(get(END), ends=True),
    "the last, with a body": _post(length(BODY) + END, BODY, ends=True),
    "of HTTP/1.0": Message(get(version="1.0"), ends=True),
    "of HTTP/1.0, kept": Message(get("connection: keep-alive\n", version="1.0")),
}
REFUSED = {
    "no host": Message(get().replace(b"host", b"most"), refusal=WRONG),
    "two hosts": Message(get("host: y\n"), refusal=WRONG),
    "too large": Message(get(length(TOO_LARGE), "POST") + TOO_LARGE, "POST", 413),
    "too large in chunks": Message(
        get(CHUNKED, "POST") + chunks(TOO_LARGE, 100) + b"\r\n", "POST", 413
    ),
    "too large, and waits": Message(
        get(length(TOO_LARGE) + EXPECT, "POST"), "POST", 413, ends=True
    ),
    "endless": Message(get("content-length: 99999\n", "POST"), "POST", 413, ends=True),
    "endless HEAD": Message(get("content-length: 99999\n", "HEAD"), "HEAD", 413, ends=True),
    "coded": Message(get("transfer-encoding: gzip, chunked\n", "POST"), "POST", 501, ends=True),
    "to a proxy": Message(get(method="CONNECT"), refusal=405, ends=True),
    "a head too long": Message(get(f"x: {'y' * 5000}\n"), refusal=431, ends=True),
    "garbage": Message(b"\x16\x03\x01garbage\r\n\r\n", refusal=WRONG, ends=True),
    "a wrong header": Message(get("no colon\n"), refusal=WRONG, ends=True),
    "a wrong chunk": Message(get(CHUNKED, "POST") + b"zz\r\n", "POST", WRONG, ends=True),
    "two lengths": Message(
        get(length(BODY) + CHUNKED, "POST") + chunks(BODY), "POST", WRONG, ends=True
    ),
}
MESSAGES = RIGHT | REFUSED
