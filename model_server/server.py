"""The server: the applications and listeners of every protocol, wired together, and signals."""

import asyncio
import functools
import logging
import signal
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import grpc
import uvloop

from model_server import __version__, forks, overrides
from model_server.fleet.metrics import Metrics
from model_server.fleet.siblings import Alone, Fleet
from model_server.http.authentication import Authentication, Tokens
from model_server.http.content_codings import ContentCodings
from model_server.http.cross_origin import CrossOrigin
from model_server.http.docs_page import DocsPage
from model_server.http.health_routes import HealthRoutes
from model_server.http.limits import Limits
from model_server.http.listener import Listener
from model_server.http.messages import Handler
from model_server.http.openapi import OpenAPI
from model_server.http.predictions import Predictions
from model_server.http.roster import Roster
from model_server.http.router import Route, Router
from model_server.http.service import Service
from model_server.http.tls import Certificate
from model_server.inference import memory_budget
from model_server.inference.health import Health
from model_server.inference.in_flight import InFlightLimiter
from model_server.inference.memory_budget import MemoryBudget
from model_server.kserve import grpc as kserve_grpc
from model_server.kserve import metadata
from model_server.kserve import repository as kserve_repository
from model_server.kserve.control import Control
from model_server.kserve.histograms import StageHistograms
from model_server.kserve.model_routes import ModelRoutes
from model_server.kserve.predictor import BrokenPredictor, Predictor
from model_server.kserve.reception import Reception
from model_server.kserve.repository import Repository
from model_server.metrics import CONNECTIONS
from model_server.mlflow.routes import ScoringServer
from model_server.ports import Ports
from model_server.sagemaker.routes import Platform
from model_server.settings import Settings
from model_server.threads import Threads
from model_server.watchdog import Watchdog

log = logging.getLogger("model_server")

_HOUSE_S = 1
_THREADS = 4
"""For what would hold up the event loop beside predictions, as to load a model."""


_PROBES = 64
_PROBE_BYTES = 16 * 1024
_PROBE_S = 5
"""What the port of health and metrics takes: connections, bytes of a head, seconds for it."""


def check_packages() -> None:
    """See that what is overridden and used of other packages' insides is there.

    Raises
    ------
    ModelServerError
    """
    overrides.check((BrokenPredictor, Predictor, Repository), kserve_repository.USED)


class Server:
    """Serve a repository's models until SIGTERM or SIGINT, then finish what was begun.

    Parameters
    ----------
    settings : Settings
    repository : Repository
        Open.
    fleet : Fleet, optional
        The processes that serve the same; by default this one is alone.

    Raises
    ------
    ModelServerError
        If the token file or the certificate can't be used.
    """

    def __init__(
        self, settings: Settings, repository: Repository, fleet: Fleet | None = None
    ) -> None:
        self._settings = settings
        self._repository = repository
        self._fleet = fleet or Alone()
        self._metrics = Metrics(self._fleet)
        self._control = Control(repository, self._fleet) if settings.repository_api else None
        self._health = Health()
        self._limiter = InFlightLimiter(settings.requests_limit, settings.bytes_limit)
        self._budget = None
        if not settings.bytes_limit:
            self._budget = MemoryBudget(self._limiter, settings.workers)
        self._tokens = None if settings.token_file is None else Tokens(settings.token_file)
        self._certificate = None
        if settings.ssl_certfile is not None and settings.ssl_keyfile is not None:
            self._certificate = Certificate(settings.ssl_certfile, settings.ssl_keyfile)
        self._cross_origin = CrossOrigin(settings.cors_origins) if settings.cors_origins else None
        self._routes = self._all_routes()

    def start(self, ports: Ports, on_serving: Callable[[dict[str, Any]], None]) -> None:
        """Serve until a signal.

        Parameters
        ----------
        ports : Ports
        on_serving : callable
            Called once requests are accepted, with the models and the numbers of the ports.
        """
        uvloop.run(self._run(ports, on_serving))

    async def _run(self, ports: Ports, on_serving: Callable[[dict[str, Any]], None]) -> None:
        settings = self._settings
        limits = self._limits()
        asyncio.get_running_loop().set_default_executor(Threads(_THREADS))
        if self._budget is not None:
            await self._budget.measure()
        memory_budget.warn_if_short(self._limiter.bytes_limit, settings.body_limit_bytes)
        grpc_server, grpc_port = self._grpc(limits, ports)
        listener, watched = self._listener(limits), self._health_listener()
        closing = asyncio.Event()
        watchdog = None
        if settings.stuck_timeout_s:
            watchdog = Watchdog(settings.stuck_timeout_s + _HOUSE_S)
        stop = functools.partial(self._stop, listener, grpc_server, closing)
        signals = (forks.STOP,) if ports.shared else (signal.SIGTERM, signal.SIGINT)
        for sig in signals:
            asyncio.get_running_loop().add_signal_handler(sig, stop)
        async with asyncio.TaskGroup() as tasks:
            if grpc_server is not None:
                await grpc_server.start()
            background = [
                tasks.create_task(work) for work in self._background(watchdog, listener, watched)
            ]
            told: dict[str, Any] = {"models": list(self._repository.models)}
            told["http_port"] = ports.http.getsockname()[1]
            told["grpc_port"] = grpc_port
            listener.start(ports.http)
            if ports.health is not None:
                watched.start(ports.health)
                told["health_port"] = ports.health.getsockname()[1]
            on_serving(told)
            await closing.wait()
            closed = tasks.create_task(listener.close(settings.drain_timeout_s))
            if grpc_server is not None:
                await grpc_server.stop(0 if listener.hurried else settings.drain_timeout_s)
            await closed
            if ports.health is not None:
                await watched.close(0)
            for task in background:
                task.cancel()
        if watchdog is not None:
            watchdog.close()
        log.info("stopped")

    def _limits(self) -> Limits:
        settings = self._settings
        return Limits(
            connections=settings.connections_limit,
            header_bytes=settings.header_limit_bytes,
            body_bytes=settings.body_limit_bytes,
            header_timeout_s=settings.header_timeout_s,
            body_timeout_s=settings.body_timeout_s,
        ).fit_to_open_files()

    def _listener(self, limits: Limits) -> Listener:
        roster = Roster(limits.connections, limits.late_connections, self._limiter)
        CONNECTIONS.set_function(lambda: len(roster))
        self._limiter.tell()
        return Listener(
            Service(
                handler=self.handler(),
                authentication=self._authentication(),
                limits=limits,
                limiter=self._limiter,
                roster=roster,
                health=self._health,
                certificate=self._certificate,
                cross_origin=self._cross_origin,
            )
        )

    def _authentication(self) -> Authentication | None:
        if self._tokens is None:
            return None
        return Authentication(
            self._tokens,
            (route.path for route in self._routes if route.operation.is_open),
            preflights=self._cross_origin is not None,
        )

    def _health_listener(self) -> Listener:
        """Return what answers probes: it shares nothing with the rest but this process."""
        limiter = InFlightLimiter(_PROBES, _PROBE_BYTES)
        return Listener(
            Service(
                handler=Router(self._health_routes()),
                authentication=None,
                limits=Limits(_PROBES, _PROBE_BYTES, _PROBE_BYTES, _PROBE_S, _PROBE_S),
                limiter=limiter,
                roster=Roster(_PROBES, _PROBES, limiter),
                health=self._health,
                certificate=None,
            )
        )

    def handler(self) -> Handler:
        """Return what answers a request."""
        StageHistograms(self._repository.served).register()
        limit_bytes = self._settings.body_limit_bytes
        handler: Handler = ContentCodings(Router(self._routes), self._limiter, limit_bytes)
        return handler if self._cross_origin is None else self._cross_origin.before(handler)

    def _all_routes(self) -> list[Route]:
        """Return all that is answered on the main port."""
        settings, repository = self._settings, self._repository
        predictions = Predictions(repository.find_ready)
        models = ModelRoutes(repository, self._health, self._control)
        routes = [*predictions.routes(), *self._health_routes(), *models.routes()]
        if settings.mlflow:
            model = repository.only(settings.invocations)
            routes += ScoringServer(repository.served, self._health, predictions, model).routes()
        if settings.sagemaker:
            routes += Platform(settings, repository, self._health, predictions).routes()
        if settings.docs:
            routes += DocsPage(metadata.NAME).routes()
        described = OpenAPI(
            {"title": metadata.NAME, "version": __version__},
            routes,
            repository.served,
            bearer=self._tokens is not None,
            is_open=settings.docs,
        )
        return [*routes, *described.routes()]

    def _health_routes(self) -> list[Route]:
        repository = self._repository
        return HealthRoutes(
            self._health, repository.served, repository.find, self._metrics
        ).routes()

    def _grpc(self, limits: Limits, ports: Ports) -> tuple[grpc.aio.Server | None, int | None]:
        """Return the gRPC server and the port that it has."""
        if ports.grpc is None:
            return None, None
        calls = kserve_grpc.Calls(
            self._repository,
            self._health,
            self._tokens,
            Reception(self._limiter, limits.body_bytes, limits.body_timeout_s),
            self._control,
        )
        server = kserve_grpc.server(calls, limits, shared=ports.shared)
        address = f"[::]:{ports.grpc}"
        if self._certificate is None:
            port = server.add_insecure_port(address)
        else:
            port = server.add_secure_port(address, kserve_grpc.credentials(self._certificate))
        return server, port

    def _background(
        self, watchdog: Watchdog | None, *listeners: Listener
    ) -> Iterator[Coroutine[None, None, None]]:
        """Yield what goes on as long as the server does."""
        yield self._keep_house(watchdog, *listeners)
        if self._budget is not None:
            yield self._budget.watch()
        if self._settings.health_interval_s:
            yield self._health.watch(self._repository.served, self._settings.health_interval_s)

    async def _keep_house(self, watchdog: Watchdog | None, *listeners: Listener) -> None:
        """Do every so often what connections, certificate and the watch on this loop need."""
        while True:
            if watchdog is not None:
                watchdog.beat()
            if self._certificate is not None:
                self._certificate.refresh()
            for listener in listeners:
                await listener.sweep()
            await asyncio.sleep(_HOUSE_S)

    def _stop(
        self, listener: Listener, grpc_server: grpc.aio.Server | None, closing: asyncio.Event
    ) -> None:
        if self._health.stopping:
            log.warning("stopping at once, at a second signal")
            listener.hurry()
            closing.set()
            if grpc_server is not None:
                self._hurry = asyncio.create_task(grpc_server.stop(0))
            return
        log.info("stopping", extra={"drain_delay_s": self._settings.drain_delay_s})
        self._health.stopping = True
        listener.drain()
        asyncio.get_running_loop().call_later(self._settings.drain_delay_s, closing.set)
