"""The pages of the models: a form with its answer, and the upload of a CSV file."""

import asyncio
import io
import re
from collections.abc import AsyncIterator
from http import HTTPStatus
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from application import answer, boston, form, picture, upload
from application.catalogue import Catalogue
from application.completion import complete
from application.endpoint import Endpoint
from application.errors import ApplicationError, BadTable, EndpointError, Refused
from application.form import Form
from application.language import Language, negotiate
from application.model import Model
from application.table import BATCH_ROWS, Table
from application.views import Views

CSV = "text/csv; charset=utf-8"
_TURNS = 8
"""So many files are at their next rows at the same time; the others wait for their turn."""
_PIECE_LENGTH = 64 * 1024
"""Of an answer that is sent, so that one who does not take it makes nothing long wait in memory."""


class Pages:
    """What a person sees of the models.

    Parameters
    ----------
    endpoint : Endpoint
    catalogue : Catalogue
    views : Views
    front : str
        The name of the model of the front page.
    upload_limit_bytes : int
    """

    def __init__(
        self,
        endpoint: Endpoint,
        catalogue: Catalogue,
        views: Views,
        front: str,
        upload_limit_bytes: int,
    ) -> None:
        self._endpoint = endpoint
        self._catalogue = catalogue
        self._views = views
        self._front = front
        self._upload_limit_bytes = upload_limit_bytes
        self._turns = asyncio.Semaphore(_TURNS)

    async def model(self, request: Request) -> Response:
        """Show the form with what was typed or the medians, and the prediction for it."""
        return await self._asked(request, "model.html")

    async def fragment(self, request: Request) -> Response:
        """Show the prediction alone, to be put into the form's page."""
        return await self._asked(request, "answer.html")

    async def upload(self, request: Request) -> Response:
        """Show how a CSV file is sent."""
        return await self._views.page(
            request,
            "upload.html",
            model=await self._model(request),
            batch_rows=BATCH_ROWS,
            limit_bytes=self._upload_limit_bytes,
        )

    async def complete(self, request: Request) -> Response:
        """Return a CSV file with its predictions.

        A browser without JavaScript sends the whole file by the form. With it, it sends parts of
        the file as ``text/csv``, and the row that the part begins with as ``?first=``.
        """
        model = await self._model(request)
        first = _first(request)
        text = io.TextIOWrapper(await upload.receive(request), encoding="utf-8-sig", newline="")
        parts = complete(Table(text, model, first), self._endpoint)
        begun = await self._next(parts)
        return StreamingResponse(
            self._written(begun, parts),
            media_type=CSV,
            headers=_attachment(f"{model.name}-predicted.csv"),
        )

    async def example(self, request: Request) -> Response:
        """Return a CSV file to begin with: the medians."""
        model = await self._model(request)
        typical = form.fill(model, {}, negotiate("en"))
        table = Table.of(model)
        return Response(
            table.write([table.header, typical.values or []]),
            media_type=CSV,
            headers=_attachment(f"{model.name}.csv"),
        )

    async def _next(self, parts: AsyncIterator[str]) -> str | None:
        async with self._turns:
            return await anext(parts, None)

    async def _written(self, part: str | None, others: AsyncIterator[str]) -> AsyncIterator[str]:
        while part is not None:
            for at in range(0, len(part), _PIECE_LENGTH):
                yield part[at : at + _PIECE_LENGTH]
            part = await self._next(others)

    async def _model(self, request: Request) -> Model:
        return await self._catalogue.model(request.path_params.get("name", self._front))

    async def _asked(self, request: Request, template: str) -> Response:
        language = negotiate(request.headers.get("accept-language", ""))
        filled = form.fill(await self._model(request), request.query_params, language)
        told, error = await self._tell(filled, language)
        status = HTTPStatus.BAD_REQUEST if filled.problems else HTTPStatus.OK
        return await self._views.page(
            request,
            template,
            status=error.status if error else status,
            form=filled,
            answer=told,
            error=error,
            picture=told and picture.draw(filled, told, language),
            question=boston.QUESTIONS.get(filled.model.name),
            disputed=boston.fits(filled.model),
        )

    async def _tell(
        self, filled: Form, language: Language
    ) -> tuple[answer.Answer | None, ApplicationError | None]:
        if filled.values is None:
            return None, None
        try:
            predicted = await self._endpoint.predict(filled.model, [filled.values])
        except Refused as refused:
            if refused.feature not in filled.fields:
                return None, refused
            filled.fields[refused.feature].problem = refused.problem
            return None, None
        except EndpointError as error:
            return None, error
        [value] = predicted.values
        return answer.tell(filled, value, predicted.tries, language), None


def _first(request: Request) -> int:
    text = request.query_params.get("first", "2")
    if not re.fullmatch("[0-9]{1,12}", text):
        raise BadTable("The row that this part of the file begins with is not a number.")
    return int(text)


def _attachment(name: str) -> dict[str, str]:
    """Return the header of a file to keep: RFC 6266, where its name has marks or other letters."""
    plain = re.fullmatch(r"[\w.-]+", name, re.ASCII)
    told = f'filename="{name}"' if plain else f"filename*=UTF-8''{quote(name, safe='')}"
    return {"content-disposition": f"attachment; {told}"}
