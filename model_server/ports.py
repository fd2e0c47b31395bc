"""The ports of a server, opened before anything is served on them, also for several processes."""

import contextlib
import errno
import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from model_server.errors import ModelServerError

BACKLOG = 2048
"""How many connections may wait to be accepted."""


@dataclass(frozen=True)
class Ports:
    """What one process of a server listens on.

    Attributes
    ----------
    http : socket
    health : socket or None
    grpc : int or None
        The number alone, as gRPC listens itself; 0 takes a free one.
    shared : bool
        Whether other processes listen there too, each for its share of the connections.
    """

    http: socket.socket
    health: socket.socket | None
    grpc: int | None
    shared: bool = False

    def close(self) -> None:
        """Let them go, as far as this process is concerned."""
        self.http.close()
        if self.health is not None:
            self.health.close()


@contextlib.contextmanager
def opened(
    http: int, health: int | None, grpc: int | None, n_processes: int = 1
) -> Iterator[list[Ports]]:
    """Open the ports of each process; 0 takes a free one, the same for all.

    Raises
    ------
    ModelServerError
        If one is taken.
    """
    shared = n_processes > 1
    if shared:  # who shares a port is let in, so another server's would be taken for a sibling's
        for port, flag in ((http, "--http-port"), (health, "--health-port")):
            if port:
                listen(port, flag).close()
    if grpc is not None:
        listen(grpc, "--grpc-port").close()
    with contextlib.ExitStack() as open_ports:
        https = _listening(open_ports, http, "--http-port", n_processes)
        healths: list[socket.socket | None] = [None] * n_processes
        if health is not None:
            healths = [*_listening(open_ports, health, "--health-port", n_processes)]
        if grpc is not None and shared:
            held = open_ports.enter_context(_opened(_hold, grpc, "--grpc-port"))
            grpc = held.getsockname()[1]
        yield [Ports(*each, grpc, shared) for each in zip(https, healths, strict=True)]


def listen(port: int, flag: str, host: str = "", *, shared: bool = False) -> socket.socket:
    """Return a socket on an address, or on all that this machine has of IPv6 and IPv4.

    Parameters
    ----------
    port : int
    flag : str
        What sets it.
    host : str, optional
    shared : bool
        Whether others of this user may listen there too, where it is on all addresses.

    Raises
    ------
    ModelServerError
        If the port is taken.
    """

    def one(port: int) -> socket.socket:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=BACKLOG)

    def all_(port: int) -> socket.socket:
        return _on_all(port, both=socket.has_dualstack_ipv6(), shared=shared)

    return _opened(one if host else all_, port, flag)


def _listening(
    open_ports: contextlib.ExitStack, port: int, flag: str, n_processes: int
) -> list[socket.socket]:
    sockets: list[socket.socket] = []
    for _ in range(n_processes):
        sockets.append(open_ports.enter_context(listen(port, flag, shared=n_processes > 1)))
        port = sockets[0].getsockname()[1]
    return sockets


def _opened(bind: Callable[[int], socket.socket], port: int, flag: str) -> socket.socket:
    try:
        return bind(port)
    except OSError as error:
        raise ModelServerError(
            f"port {port} can't be listened on ({os.strerror(error.errno or 0)}); "
            f"choose another with {flag}"
        ) from error


def _on_all(port: int, *, both: bool, shared: bool) -> socket.socket:
    family = socket.AF_INET6 if both else socket.AF_INET
    try:
        return socket.create_server(
            ("", port), family=family, dualstack_ipv6=both, backlog=BACKLOG, reuse_port=shared
        )
    except OSError as error:
        if not both or error.errno != errno.EADDRNOTAVAIL:
            raise
        return _on_all(port, both=False, shared=shared)  # IPv6 is compiled in and turned off


def _hold(port: int) -> socket.socket:
    """Keep a port for those who share it, and take no connection."""
    both = socket.has_dualstack_ipv6()
    held = socket.socket(socket.AF_INET6 if both else socket.AF_INET)
    try:
        for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
            held.setsockopt(socket.SOL_SOCKET, option, 1)
        if both:
            held.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        held.bind(("", port))
    except OSError:
        held.close()
        raise
    return held
