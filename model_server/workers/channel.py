"""Messages between two processes: objects, whose arrays go from memory to memory as they are."""

import contextlib
import pickle
import socket
import struct
from typing import Any

_COUNT = struct.Struct("<Q")


class Channel:
    """One end of a pair of connected sockets.

    Parameters
    ----------
    sock : socket
    """

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock

    @property
    def open(self) -> bool:
        """Whether the other end is there, as far as is known without asking."""
        try:
            return bool(self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
        except BlockingIOError:
            return True
        except OSError:
            return False

    def send(self, message: Any) -> None:
        """Send an object that can be pickled.

        Raises
        ------
        OSError
            If the other end is gone.
        """
        self.send_packed(pack(message))

    def send_packed(self, parts: list[Any]) -> None:
        """Send what `pack` has made."""
        lengths = [memoryview(part).nbytes for part in parts]
        head = struct.pack(f"<{1 + len(lengths)}Q", len(lengths), *lengths)
        self._socket.sendall(head + parts[0])
        for part in parts[1:]:
            self._socket.sendall(part)

    def receive(self, timeout_s: float | None = None) -> Any:
        """Return the next object.

        Parameters
        ----------
        timeout_s : float, optional
            Longest wait for its first byte, in seconds.

        Raises
        ------
        TimeoutError
        EOFError
            If the other end is gone.
        """
        self._socket.settimeout(timeout_s)
        try:
            [count] = _COUNT.unpack(self._read(_COUNT.size))
        finally:
            with contextlib.suppress(OSError):
                self._socket.settimeout(None)
        lengths = struct.unpack(f"<{count}Q", self._read(count * _COUNT.size))
        pickled, *buffers = [self._read(length) for length in lengths]
        return pickle.loads(pickled, buffers=buffers)  # noqa: S301 - of a process that we forked

    def give(self, sock: socket.socket) -> None:
        """Hand over a socket, for a process that is to be forked at the other end."""
        socket.send_fds(self._socket, [b"\0"], [sock.fileno()])

    def take(self) -> socket.socket:
        """Return a socket that is handed over.

        Raises
        ------
        EOFError
        """
        _, fds, _, _ = socket.recv_fds(self._socket, 1, 1)
        if not fds:
            raise EOFError
        return socket.socket(fileno=fds[0])

    def close(self) -> None:
        """End it, at both ends."""
        self._socket.close()

    def _read(self, length: int) -> bytearray:
        read = bytearray(length)
        left = memoryview(read)
        while left:
            try:
                n_bytes = self._socket.recv_into(left, 0, socket.MSG_WAITALL)
            except ConnectionResetError:
                n_bytes = 0
            if not n_bytes:
                raise EOFError
            left = left[n_bytes:]
        return read


def pack(message: Any) -> list[Any]:
    """Return what stands for an object: its pickle, then the memory of its arrays."""
    buffers: list[pickle.PickleBuffer] = []
    pickled = pickle.dumps(message, protocol=5, buffer_callback=buffers.append)
    return [pickled, *(buffer.raw() for buffer in buffers)]
