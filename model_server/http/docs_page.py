"""The pages of the API: Swagger UI over the OpenAPI document, from files of a package.

The browser loads nothing from anywhere else.

Source: W3C's Content Security Policy, level 3.
"""

import importlib.util
from pathlib import Path

from model_server.errors import ModelServerError
from model_server.http import openapi
from model_server.http.messages import Request, Response
from model_server.http.operation import TEXT, Operation
from model_server.http.router import Route

PATH = "/docs"

_PACKAGE = "fastapi_swagger"
"""Whose resources are the distribution of Swagger UI; nothing of it is imported."""

_POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    b"img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    b"frame-ancestors 'none'"
)
_HEADERS = [
    (b"content-security-policy", _POLICY),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
]

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="{path}/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="{path}/swagger-ui-bundle.js"></script>
<script src="{path}/start.js"></script>
</body>
</html>
"""
_START = """SwaggerUIBundle({{url: "{document}", dom_id: "#swagger-ui", deepLinking: true}});
"""
_TAG = "Description"


class DocsPage:
    """What answers them.

    Parameters
    ----------
    title : str

    Raises
    ------
    ModelServerError
        If the package is not installed.
    """

    def __init__(self, title: str) -> None:
        spec = importlib.util.find_spec(_PACKAGE)
        if spec is None or spec.origin is None:
            raise ModelServerError(
                "--docs needs the files of Swagger UI: pip install 'sklearn-model-server[docs]'"
            )
        resources = Path(spec.origin).parent / "resources"
        page = _PAGE.format(title=title, path=PATH).encode()
        start = _START.format(document=openapi.PATH).encode()
        self._files = {
            PATH: ("text/html; charset=utf-8", page),
            f"{PATH}/start.js": ("text/javascript", start),
            **{
                f"{PATH}/{name}": (media_type, (resources / name).read_bytes())
                for name, media_type in (
                    ("swagger-ui.css", "text/css"),
                    ("swagger-ui-bundle.js", "text/javascript"),
                )
            },
        }

    def routes(self) -> list[Route]:
        """Return their routes."""
        return [Route("GET", path, self.tell, self._operation(path)) for path in self._files]

    def _operation(self, path: str) -> Operation:
        media_type, _ = self._files[path]
        answer = {media_type.partition(";")[0]: {"schema": TEXT}}
        return Operation(tag=_TAG, summary="Pages of the API", answer=answer, is_open=True)

    async def tell(self, request: Request) -> Response:
        """Return a page or what it is made of."""
        media_type, content = self._files[request.path]
        return Response(200, [(b"content-type", media_type.encode()), *_HEADERS], content)
