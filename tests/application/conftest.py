"""The application before a real model server, and before a stand-in for one."""

import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest

from application.settings import Settings
from application.site import create
from harness.processes import ApplicationProcess, ServerProcess
from tests.application.stand_in import StandIn

Connect = Callable[..., httpx.AsyncClient]


@pytest.fixture(autouse=True)
def _clean_application_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in os.environ:
        if variable.startswith("APPLICATION_"):
            monkeypatch.delenv(variable)


@pytest.fixture(scope="session")
def application(
    server: ServerProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ApplicationProcess]:
    """Serve the pages of the built-in models; for tests that change nothing."""
    log = tmp_path_factory.mktemp("application") / "log"
    with ApplicationProcess(server.url, "--rate-limit", "0", log=log) as process:
        yield process


@pytest.fixture
def endpoint() -> StandIn:
    return StandIn()


@pytest.fixture
async def connect(endpoint: StandIn) -> AsyncIterator[Connect]:
    """Return what makes a client of an application before the stand-in, or another transport."""
    async with AsyncExitStack() as stack:

        def connected(
            transport: httpx.AsyncBaseTransport | None = None, **settings: Any
        ) -> httpx.AsyncClient:
            app = create(Settings(**settings), transport or endpoint.transport())
            client = httpx.AsyncClient(
                transport=httpx.ASGITransport(app),
                base_url="http://application.test",
                headers={"accept": "text/html", "accept-language": "en-US"},
            )
            stack.push_async_callback(client.aclose)
            return client

        yield connected


@pytest.fixture
def client(connect: Connect) -> httpx.AsyncClient:
    return connect()
