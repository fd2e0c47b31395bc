"""What one connection, and how many of them, may take."""

import logging
import resource
from dataclasses import dataclass, replace
from typing import Self

from model_server.http.state import State

log = logging.getLogger("model_server")

_KEEP_ALIVE_S = 65
"""Longer than the idle time-out of a proxy in front, as KServe has it."""

_OTHER_FILES = 256

_LATE = 0.25
"""So many connections beyond the limit, as a share of it, are still told why they are refused."""

_GRPC = 0.25
"""So many connections to gRPC's port, as a share of HTTP's."""


@dataclass(frozen=True)
class Limits:
    """What one connection, and how many of them, may take.

    The time-outs of header and body count from the first byte of a request.
    """

    connections: int
    header_bytes: int
    body_bytes: int
    header_timeout_s: float
    body_timeout_s: float

    @property
    def late_connections(self) -> int:
        """How many beyond the limit are still answered."""
        return max(int(self.connections * _LATE), 1)

    @property
    def grpc_connections(self) -> int:
        """How many there may be to gRPC's port beside."""
        return max(int(self.connections * _GRPC), 1)

    def patience_s(self, state: State, *, fresh: bool) -> float:
        """Return how long a client that is to send may take; a fresh one has asked nothing yet."""
        if state is State.IDLE and not fresh:
            return _KEEP_ALIVE_S
        return self.body_timeout_s if state is State.BODY else self.header_timeout_s

    def fit_to_open_files(self) -> Self:
        """Raise this process's limit on open files to what is wanted, or want less connections."""
        wanted = self.connections + self.late_connections + self.grpc_connections + _OTHER_FILES
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft == resource.RLIM_INFINITY or wanted <= soft:
            return self
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        if most == wanted:
            return self
        connections = max(int((most - _OTHER_FILES) / (1 + _LATE + _GRPC)), 1)
        log.warning("at most %d connections, as %d files may be open", connections, most)
        return replace(self, connections=connections)
