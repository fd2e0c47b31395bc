"""A port is closed without resetting a connection that the system has accepted."""

import asyncio
import time
from collections.abc import Callable

import pytest
import uvloop

from model_server.http.limits import Limits
from model_server.http.listener import Listener
from model_server.http.messages import Request, Response
from model_server.http.roster import Roster
from model_server.http.service import Service
from model_server.inference.health import Health
from model_server.inference.in_flight import InFlightLimiter
from model_server.ports import listen
from tests.fresh_client import FreshClient

STOPS = 10
CLIENTS = 4


async def answer(_: Request) -> Response:
    return Response(200, body=b"here")


def service() -> Service:
    limiter = InFlightLimiter(1000, 10**6)
    limits = Limits(1000, 10_000, 10_000, header_timeout_s=10, body_timeout_s=10)
    roster = Roster(limits.connections, limits.late_connections, limiter)
    return Service(answer, None, limits, limiter, roster, Health(), None)


async def stop_once() -> list[FreshClient]:
    """Serve, and stop under steady fresh connections."""
    port = listen(0, "--http-port")
    listener = Listener(service())
    listener.start(port)
    clients = [FreshClient(port.getsockname()[1]) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    await _reached(lambda: all(client.answered > 20 for client in clients))
    await listener.close(timeout_s=10)
    for client in clients:
        await asyncio.to_thread(client.join, 30)
    return clients


async def _reached(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline_s
        await asyncio.sleep(0.001)


@pytest.mark.slow
def test_no_connection_is_reset_by_a_stop() -> None:
    for _ in range(STOPS):
        clients = uvloop.run(stop_once())
        assert {client.ended for client in clients} == {ConnectionRefusedError}
