"""Templates rendered to responses, with what every page shows; and the errors as pages."""

import logging
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from application import assets, boston, picture
from application.catalogue import Catalogue
from application.errors import ApplicationError, EndpointError, Unexpected
from application.language import negotiate

log = logging.getLogger("application")


class Views:
    """The templates.

    Parameters
    ----------
    catalogue : Catalogue
        Tells the models that every page leads to.
    front : str
        The model whose page is the front page.
    report_url : str
        Where the models' reports are; empty where they can't be read.
    """

    def __init__(self, catalogue: Catalogue, front: str, report_url: str) -> None:
        self._catalogue = catalogue
        self._front = front
        self._templates = Environment(
            loader=FileSystemLoader(Path(__file__).parent / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals.update(
            address=assets.address,
            areas=len(boston.AREAS.all),
            front=front,
            report_url=report_url,
            titles=boston.TITLES,
            picture_width=picture.WIDTH,
        )

    async def page(
        self, request: Request, template: str, status: int = HTTPStatus.OK, **context: Any
    ) -> Response:
        """Render a page for a reader; it is not kept, as what it tells may change."""
        error: ApplicationError | None = context.get("error")
        headers = {"cache-control": "no-store", "vary": "accept-language"}
        if error:
            headers |= error.headers()
        if isinstance(error, Unexpected):
            log.error(error.detail)
        down = isinstance(error, EndpointError)
        names = self._catalogue.known_names() if down else await self._catalogue.names()
        here = "/" + quote(request.scope["path"].lstrip("/"), errors="replace")
        query = request.scope["query_string"].decode("latin-1")
        text = self._templates.get_template(template).render(
            here=here,
            again=f"{here}?{query}" if query else here,
            language=negotiate(request.headers.get("accept-language", "")),
            names=sorted(names, key=lambda name: name != self._front),
            **context,
        )
        return HTMLResponse(text, status, headers)

    def text(self, template: str, media_type: str, **context: Any) -> Response:
        """Render a file that is the same for every reader."""
        text = self._templates.get_template(template).render(**context)
        return Response(text, media_type=media_type, headers={"cache-control": "no-cache"})

    async def error(self, request: Request, error: Exception) -> Response:
        """Tell an error, as a page to people and as JSON to programs."""
        known = error if isinstance(error, ApplicationError) else _known(error)
        if "text/html" in request.headers.get("accept", ""):
            return await self.page(
                request,
                "error.html",
                status=known.status,
                error=known,
                title=HTTPStatus(known.status).phrase,
            )
        return JSONResponse({"error": str(known)}, known.status, known.headers())


def _known(error: Exception) -> ApplicationError:
    texts = {
        HTTPStatus.NOT_FOUND: "There is no such page.",
        HTTPStatus.METHOD_NOT_ALLOWED: "This page can't be used in this way.",
    }
    status = error.status_code if isinstance(error, HTTPException) else 500
    known = ApplicationError(texts.get(HTTPStatus(status), "Something went wrong on our side."))
    known.status = status
    return known
