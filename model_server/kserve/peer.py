"""The other end of a gRPC connection, which gRPC's core offers no way to close."""

import contextlib
import os
import socket
import urllib.parse
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

_FILES = Path("/proc/self/fd")


def shut_down(peer: str) -> None:
    """End the connection of a client: core sees it closed and frees what it held.

    Parameters
    ----------
    peer : str
        As a call tells it: ``ipv4:192.0.2.1:4242`` or ``ipv6:%5B2001:db8::1%5D:4242``; one that is
        gone has no address.
    """
    client, _, client_port = urllib.parse.unquote(peer).partition(":")[2].rpartition(":")
    if not client:
        return
    wanted = (_address(client.strip("[]")), int(client_port))
    for file in filter(Path.is_socket, _FILES.iterdir()):
        with (
            contextlib.suppress(OSError, ValueError),  # it is no connection, or closed by now
            socket.socket(fileno=os.dup(int(file.name))) as connection,
        ):
            host, port, *_ = connection.getpeername()
            if (_address(host), port) == wanted:
                connection.shutdown(socket.SHUT_RDWR)


def _address(text: str) -> IPv4Address | IPv6Address:
    """Return an address; one of IPv4 that came by IPv6 is that of IPv4."""
    address = ip_address(text)
    return getattr(address, "ipv4_mapped", None) or address
