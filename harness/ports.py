"""Ports of this machine."""

import socket

HOST = "127.0.0.1"


def reserve_port() -> int:
    """Return a port that no one else gets as long as this process lives.

    It is bound, so that the kernel gives it to none who takes any, and not listened on: who is told
    of it can listen, as servers set ``SO_REUSEADDR``. What can take port 0 and tell which it has
    needs no such port.
    """
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind((HOST, 0))
    port = int(holder.getsockname()[1])
    holder.detach()
    return port
