"""A plain TCP connection, to send what no HTTP library would."""

import select
import socket
import struct
from collections.abc import Iterator

from harness.processes import ApplicationProcess, ServerProcess
from tests.model_server.raw_socket import RawSocket


def request(body: bytes, path: str = "/v1/models/rooms:predict", headers: bytes = b"") -> bytes:
    """Write a whole prediction request."""
    return (
        b"POST %s HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        b"content-length: %d\r\n%s\r\n" % (path.encode(), len(body), headers)
    ) + body


GOOD = request(b'{"instances": [[6.5]]}')


class RawConnection(RawSocket):
    """A connection to a server; `read` takes one answer from it."""

    def __init__(self, server: ServerProcess | ApplicationProcess, port: int | None = None) -> None:
        super().__init__(port or int(server.url.rpartition(":")[2]))

    def reset(self) -> None:
        """Go away as a process that is killed does: with a reset."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._close()

    def shut_down(self, how: int) -> None:
        """Close a half of it, or both."""
        self._socket.shutdown(how)

    def read(self) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body of the next answer."""
        status, headers = self.read_head()
        if "transfer-encoding" in headers:
            return status, headers, b"".join(self._chunks())
        body = self._stream.read(int(headers.get("content-length", 0)))
        return status, headers, body

    def _chunks(self) -> Iterator[bytes]:
        while length := int(self._stream.readline(), 16):
            yield self._stream.read(length)
            assert self._stream.readline() == b"\r\n"
        assert self._stream.readline() == b"\r\n"

    def read_head(self) -> tuple[int, dict[str, str]]:
        """Return status and headers of the next answer."""
        status = self._stream.readline().split()
        assert len(status) > 1, "the connection was closed without an answer"
        headers = {}
        while line := self._stream.readline().strip():
            name, _, value = line.decode().partition(": ")
            headers[name.lower()] = value
        return int(status[1]), headers

    def readable(self) -> bool:
        """Tell whether something has come."""
        return bool(select.select([self._socket], [], [], 0)[0])

    def rest(self) -> bytes:
        """Return all that comes until the server closes it."""
        return self._stream.read()

    def closed(self) -> bool:
        """Wait until the server has closed it; tell whether it said nothing more."""
        try:
            return self._stream.read() == b""
        except ConnectionResetError:
            return True
