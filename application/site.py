"""The application put together: routes, guards, and the client of the endpoint."""

import contextlib
import ssl
from collections.abc import AsyncIterator

import httpx
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route, Router

from application import assets, boston
from application.bearer import BearerFile
from application.bodies import Bodies
from application.catalogue import Catalogue
from application.client import Forwarded, networks
from application.endpoint import Endpoint, connect
from application.errors import ApplicationError
from application.guards import RateLimit, SameOrigin, SecurityHeaders
from application.pages import Pages
from application.settings import Settings
from application.views import Views


def create(settings: Settings, transport: httpx.AsyncBaseTransport | None = None) -> Starlette:
    """Return the application.

    Parameters
    ----------
    settings : Settings
    transport : httpx.AsyncBaseTransport, optional
        What asks the endpoint instead of the network.
    """
    client = connect(
        str(settings.endpoint),
        settings.timeout_s,
        auth=BearerFile(settings.token_file) if settings.token_file else None,
        transport=transport or _network(settings),
    )
    endpoint = Endpoint(client, settings.timeout_s)
    catalogue = Catalogue(endpoint)
    views = Views(catalogue, settings.front, str(settings.report_url or ""))
    pages = Pages(endpoint, catalogue, views, settings.front, settings.upload_limit_bytes)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with client:
            yield

    return Starlette(
        routes=[
            Route("/healthz/live", _healthy),
            Route("/healthz/ready", _healthy),
            Mount("/static", assets.Assets()),
            *_shell(views),
            Mount(
                "",
                # a redirect would name the host and the scheme as the last proxy told them
                Router(_routes(pages, views, catalogue), redirect_slashes=False),
                middleware=[
                    Middleware(RateLimit, limit=settings.rate_limit),
                    Middleware(SameOrigin),
                    Middleware(
                        Bodies,
                        limit_bytes=settings.upload_limit_bytes,
                        timeout_s=settings.upload_timeout_s,
                    ),
                ],
            ),
        ],
        middleware=[
            Middleware(Forwarded, proxies=networks(settings.trusted_proxies)),
            Middleware(SecurityHeaders),
            Middleware(GZipMiddleware, compresslevel=5),
        ],
        exception_handlers=dict.fromkeys((ApplicationError, HTTPException, Exception), views.error),
        lifespan=lifespan,
    )


def _routes(pages: Pages, views: Views, catalogue: Catalogue) -> list[Route]:
    async def about(request: Request) -> Response:
        models = await catalogue.models()
        disputed = any(map(boston.fits, models)) or not models
        return await views.page(request, "about.html", models=models, disputed=disputed)

    return [
        Route("/", pages.model),
        Route("/about", about),
        Route("/models/{name}", pages.model),
        Route("/models/{name}/answer", pages.fragment),
        Route("/models/{name}/file", pages.upload, methods=["GET"]),
        Route("/models/{name}/file", pages.complete, methods=["POST"]),
        Route("/models/{name}/example.csv", pages.example),
    ]


def _shell(views: Views) -> list[Route]:
    """Return what makes it an installed application: these need no endpoint."""

    async def offline(_: Request) -> Response:
        return views.text("offline.html", "text/html")

    async def manifest(_: Request) -> Response:
        return views.text("manifest.webmanifest", "application/manifest+json")

    async def worker(_: Request) -> Response:
        return views.text(
            "service-worker.js",
            "text/javascript",
            release=assets.RELEASE,
            addresses=assets.addresses(),
        )

    return [
        Route("/offline", offline),
        Route("/manifest.webmanifest", manifest),
        Route("/service-worker.js", worker),
    ]


async def _healthy(_: Request) -> Response:
    return JSONResponse({"healthy": True})


def _network(settings: Settings) -> httpx.AsyncBaseTransport:
    trusted = ssl.create_default_context(cafile=settings.endpoint_ca)
    return httpx.AsyncHTTPTransport(
        verify=trusted, limits=httpx.Limits(max_connections=100, max_keepalive_connections=20)
    )
