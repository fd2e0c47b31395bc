"""The pages of the models: a form with its answer, and the upload of a CSV file."""

import io
from collections.abc import AsyncIterator
from http import HTTPStatus

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from application import answer, boston, form, picture
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
        if request.headers.get("content-type", "").startswith("multipart/form-data"):
            fields = await request.form(max_files=1, max_fields=1)
            sent = fields.get("file")
            if not isinstance(sent, UploadFile) or not sent.filename:
                raise BadTable("No file was chosen.")
            lines = io.TextIOWrapper(sent.file, encoding="utf-8-sig", newline="")
            table = Table(lines, model)
        else:
            body = io.BytesIO(await request.body())
            lines = io.TextIOWrapper(body, encoding="utf-8-sig", newline="")
            table = Table(lines, model, _first(request))
        parts = complete(table, self._endpoint)
        begun = await anext(parts)
        return StreamingResponse(
            _chained(begun, parts),
            media_type=CSV,
            headers={"content-disposition": f'attachment; filename="{model.name}-predicted.csv"'},
        )

    async def example(self, request: Request) -> Response:
        """Return a CSV file to begin with: the medians."""
        model = await self._model(request)
        typical = form.fill(model, {}, negotiate("en"))
        table = Table.of(model)
        return Response(
            table.write([table.header, typical.values or []]),
            media_type=CSV,
            headers={"content-disposition": f'attachment; filename="{model.name}.csv"'},
        )

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
    if not text.isascii() or not text.isdigit():
        raise BadTable("The row that this part of the file begins with is not a number.")
    return int(text)


async def _chained(begun: str, parts: AsyncIterator[str]) -> AsyncIterator[str]:
    yield begun
    async for part in parts:
        yield part
