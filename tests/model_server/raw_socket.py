"""A TCP connection for bytes as they are, from which the subclasses read."""

import socket
from types import TracebackType
from typing import Self

from harness.ports import HOST
from harness.processes import DEADLINE_S


class RawSocket:
    """A connection to a port of this machine."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection((HOST, port), DEADLINE_S)
        self._stream = self._socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def _close(self) -> None:
        self._stream.close()
        self._socket.close()
