"""A connection that speaks HTTP/2 frame by frame, to send what no gRPC client would.

The frames are those of RFC 9113, the headers RFC 7541's literals, never indexed or compressed.
"""

import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from tests.model_server.raw_socket import RawSocket

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM = ACK = 1
END_HEADERS = 4
MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE = 3, 4

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_FRAME_BYTES = 16_384
_SERVICE = "/inference.GRPCInferenceService/"


class Frame(NamedTuple):
    kind: int
    flags: int
    stream: int
    payload: bytes


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Write a frame."""
    return len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload


def message(content: bytes) -> bytes:
    """Write a message of gRPC, not compressed."""
    return b"\0" + len(content).to_bytes(4) + content


def _literal(text: str) -> bytes:
    encoded = text.encode()
    assert len(encoded) < 127
    return bytes([len(encoded)]) + encoded


OPENING = PREFACE + frame(SETTINGS, 0, 0)
"""What a client says first."""


class RawHttp2(RawSocket):
    """A connection to a server's gRPC port, opened as HTTP/2 asks for.

    Parameters
    ----------
    port : int
    window_bytes : int
        How much of an answer it takes before it says more, which it never does.
    """

    def __init__(self, port: int, window_bytes: int = 65_535) -> None:
        super().__init__(port)
        self._stream_number = -1
        window = struct.pack(">HI", INITIAL_WINDOW_SIZE, window_bytes)
        self.send(PREFACE + frame(SETTINGS, 0, 0, window))

    def call(self, name: str, metadata: Iterable[tuple[str, str]] = ()) -> int:
        """Begin a call, without its message, and return its stream."""
        self._stream_number += 2
        self.send(self.headers(self._stream_number, name, metadata))
        return self._stream_number

    def headers(self, stream: int, name: str, metadata: Iterable[tuple[str, str]] = ()) -> bytes:
        """Write what begins a call."""
        fields = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", _SERVICE + name),
            (":authority", "x"),
            ("content-type", "application/grpc"),
            ("te", "trailers"),
            *metadata,
        ]
        block = b"".join(b"\0" + _literal(key) + _literal(value) for key, value in fields)
        return frame(HEADERS, END_HEADERS, stream, block)

    def data(self, stream: int, content: bytes, flags: int = 0) -> None:
        """Send a part of a call's message, or all of it."""
        for start in range(0, len(content), _FRAME_BYTES):
            part = content[start : start + _FRAME_BYTES]
            last = start + _FRAME_BYTES >= len(content)
            self.send(frame(DATA, flags if last else 0, stream, part))

    def frames(self) -> Iterator[Frame]:
        """Return what the server sends, until it closes the connection."""
        try:
            while head := self._stream.read(9):
                payload = self._stream.read(int.from_bytes(head[:3]))
                yield Frame(head[3], head[4], int.from_bytes(head[5:9]), payload)
        except ConnectionResetError:
            return

    def settings(self) -> dict[int, int]:
        """Return the settings that the server tells first."""
        first = next(frame for frame in self.frames() if frame.kind == SETTINGS)
        return dict(struct.iter_unpack(">HI", first.payload))

    def closed(self) -> bool:
        """Wait until the server has closed it."""
        for _ in self.frames():
            pass
        return True
