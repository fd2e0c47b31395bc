"""A port that is listened on: its connections are accepted, swept, and seen to their end."""

import asyncio
import contextlib
import ctypes
import logging
import os
import socket
import struct

from model_server.http.connection import Connection
from model_server.http.service import Service
from model_server.ports import BACKLOG

log = logging.getLogger("model_server")

_SWEPT_AT_ONCE = 8
"""So many connections are looked at, and perhaps cut off, before requests have their turn."""

_ACCEPTED_AT_ONCE = 64
"""So many connections are taken before requests have their turn."""

_PAUSE_S = 1.0
"""How long no connection is accepted where the process has no more files to open."""

_HANDSHAKES_S = 0.1
"""How long those that knock while the port is closed have for the rest of their handshake."""

_SO_ATTACH_FILTER = 26
_DROP_NEW = b"".join(
    struct.pack("HBBI", *instruction)
    for instruction in (
        (0x30, 0, 0, 13),  # the flags of the TCP header
        (0x54, 0, 0, 0x12),  # SYN and ACK of them
        (0x15, 0, 1, 0x02),  # if it is SYN alone
        (0x06, 0, 0, 0),  # drop it
        (0x06, 0, 0, 0xFFFFFFFF),  # else take it whole
    )
)
"""A filter of packets in the system's classic BPF; see Linux's networking/filter.rst."""

_LOOK_S = 0.05
_LAST_ANSWERS_S = 1.0


class Listener:
    """Serves the connections of one port.

    Parameters
    ----------
    service : Service
    connection : type of Connection
        What speaks with each client.

    Attributes
    ----------
    hurried : bool
        Whether nothing more is waited for.
    """

    def __init__(self, service: Service, connection: type[Connection] = Connection) -> None:
        self._service = service
        self._connection = connection
        self._roster = service.roster
        self._patience: asyncio.Timeout | None = None
        self._again: asyncio.TimerHandle | None = None
        self.hurried = False

    def start(self, port: socket.socket) -> None:
        """Accept connections, from now on."""
        port.settimeout(0)
        self._port = port
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(port, self._accept, _ACCEPTED_AT_ONCE)

    async def sweep(self) -> None:
        """End the connections whose clients take too long; to be called every second."""
        self._roster.tick()
        for number, connection in enumerate(self._roster.members(), start=1):
            connection.sweep()
            if number % _SWEPT_AT_ONCE == 0:
                await asyncio.sleep(0)

    def drain(self) -> None:
        """Note that a stop is near: each answer from now on is the last of its connection."""
        for connection in self._roster.members():
            connection.drain()

    def hurry(self) -> None:
        """Wait for nothing more."""
        self.hurried = True
        if self._patience is not None:
            self._patience.reschedule(asyncio.get_running_loop().time())

    async def close(self, timeout_s: float) -> None:
        """Close the port, finish what was begun, and cut off what takes longer than `timeout_s`."""
        await self._close_port()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0 if self.hurried else timeout_s) as self._patience:
                await self._all_gone()
        for connection in self._roster.members():
            connection.cut_off()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0 if self.hurried else _LAST_ANSWERS_S):
                await self._all_gone()

    def _accept(self, most: int) -> None:
        """Take so many connections at most that wait."""
        for _ in range(most):
            try:
                accepted, _address = self._port.accept()
            except (BlockingIOError, ConnectionError, InterruptedError):
                return
            except OSError as error:
                log.warning("no connection can be accepted: %s", os.strerror(error.errno or 0))
                self._loop.remove_reader(self._port)
                self._again = self._loop.call_later(_PAUSE_S, self.start, self._port)
                return
            accepted.settimeout(0)
            self._connection(self._service).accept(accepted)

    async def _close_port(self) -> None:
        """Close the port without losing who has knocked.

        What the system has accepted and this process has not is reset when a port is closed. So
        the system is told to take no new connection, those that are on their way get the time for
        their handshake, and the last of them are accepted before it is closed.
        """
        if not self.hurried and _take_no_new(self._port):
            await asyncio.sleep(_HANDSHAKES_S)
        if self._again is not None:
            self._again.cancel()
        self._loop.remove_reader(self._port)
        self._accept(BACKLOG)
        self._port.close()

    async def _all_gone(self) -> None:
        while len(self._roster):
            for connection in self._roster.members():
                connection.finish()
            await asyncio.sleep(_LOOK_S)


def _take_no_new(port: socket.socket) -> bool:
    """Have the system drop what asks for a new connection; tell whether it does."""
    program = ctypes.create_string_buffer(_DROP_NEW, len(_DROP_NEW))
    told = struct.pack("HL", len(_DROP_NEW) // 8, ctypes.addressof(program))
    try:
        port.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, told)
    except OSError:
        return False
    return True
