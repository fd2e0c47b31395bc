"""The file that a request brings: in a form, as browsers send it, or as the whole body."""

import io
import sys
from typing import BinaryIO

from python_multipart.multipart import parse_options_header
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from application.errors import BadTable


async def receive(request: Request) -> BinaryIO:
    """Return the file, in memory: `bodies` bounds what all of them take.

    Raises
    ------
    BadTable
        If a form brings none.
    """
    media_type, _ = parse_options_header(request.headers.get("content-type"))
    if media_type == b"multipart/form-data":
        return await _from_form(request)
    file = io.BytesIO()
    async for part in request.stream():
        file.write(part)
    file.seek(0)
    return file


async def _from_form(request: Request) -> BinaryIO:
    form = MultiPartParser(request.headers, request.stream(), max_files=1, max_fields=1)
    form.spool_max_size = sys.maxsize  # nothing of it on a disk
    try:
        fields = await form.parse()
    except (MultiPartException, ValueError) as error:
        raise BadTable(f"The form can't be read: {error}") from error
    sent = fields.get("file")
    if not isinstance(sent, UploadFile) or not sent.filename:
        await fields.close()
        raise BadTable("No file was chosen.")
    return sent.file
