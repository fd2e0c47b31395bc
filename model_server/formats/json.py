"""JSON: ``{"instances": [...]}`` in, ``{"predictions": [...]}`` out, as KServe's v1 protocol says.

The list of instances alone is read as well. Outputs are asked for by name beside the instances, in
``"parameters": {"return": [...]}``.
"""

from collections.abc import Generator, Sequence
from typing import Any

import orjson
from typing_extensions import override

from model_server.errors import BadRequest
from model_server.formats import json_text, media_types, plain_rows
from model_server.formats.codec import NUMBER_BYTES, Steps
from model_server.formats.json_text import Block, ListText
from model_server.formats.rows import BlockReader, Rows
from model_server.model.columns import Columns, Instances, too_long
from model_server.model.outputs import Answers


class JSONReader(BlockReader):
    """Read a list of instances, or an object that holds one.

    Rows are typed as they are parsed. Whatever else there is, right or wrong, is parsed again and
    looked at cell by cell.
    """

    @override
    def _read_short(self, body: bytes, columns: Columns) -> Instances:
        plain = plain_rows.of(columns)
        try:
            if body.startswith(b"["):
                rows = plain.table.decode(body)
            else:
                rows = plain.request.decode(body).instances
        except plain_rows.DECODE_ERRORS:
            rows = []
        X = plain.joined(rows) if rows else None
        return columns.read(_instances(body)) if X is None else X

    @override
    def asked(self, body: bytes) -> Sequence[str]:
        """Return what ``{"parameters": {"return": [...]}}`` names."""
        return json_text.returned(body) if b'"parameters"' in body else ()

    @override
    def steps(self, body: bytes, columns: Columns) -> Steps:
        """See `Reader.steps`.

        A list that nothing stands before is read as its rows come in sight. Where it goes on as no
        list of rows does, the whole body is looked through first.
        """
        usual = json_text.usual(body)
        X = (yield from self._read(usual, columns)) if usual else None
        if X is None:
            found = json_text.find(body)
            yield
            X = yield from self._read(found, columns)
        return X  # type: ignore[return-value]  # what was found is read or refused

    def _read(self, text: ListText, columns: Columns) -> Generator[None, None, Instances | None]:
        """Read the rows; return None where the body may be no JSON, or have another list."""
        rows, begin = Rows(columns, len(text.text)), text.begin
        while True:
            block, X = self._next(text, begin, columns)
            if block is None:
                if text.ends(begin):
                    return rows.joined()
                if not text.checked:
                    return None
                block = text.value(begin, columns.row_limit_bytes)
                if block is None:
                    raise too_long(rows.next, columns)
            try:
                rows.add(_by_cell(block.rows, rows.next, columns) if X is None else X)
            except orjson.JSONDecodeError as error:
                if text.checked:
                    raise json_text.not_json(text.body, error) from None
                return None
            except BadRequest:
                if text.checked or (yield from self._look_through(text, block.end, columns)):
                    raise
                return None
            begin = block.end
            yield

    def _next(
        self, text: ListText, begin: int, columns: Columns
    ) -> tuple[Block | None, Instances | None]:
        """Return the next rows, and what they hold where they are plain."""
        block, plain = text.guess(begin, self._block_bytes), plain_rows.of(columns)
        X = plain.read(block.rows) if block else None
        if X is None:
            few = self._block_bytes // 8  # to look for a wrong row cell by cell takes longer
            block = text.block(begin, few, columns.row_limit_bytes)
            X = plain.read(block.rows) if block else None
        return block, X

    def _look_through(
        self, text: ListText, begin: int, columns: Columns
    ) -> Generator[None, None, bool]:
        """See whether rows of JSON follow, to the end."""
        while block := text.block(begin, self._block_bytes, columns.row_limit_bytes):
            if not json_text.is_list(block.rows):
                return False
            begin = block.end
            yield
        return text.ends(begin)


class JSONWriter:
    """Write an object with a list of predictions, each an object where several are asked for."""

    media_type = media_types.JSON
    number_bytes = NUMBER_BYTES

    def write(self, answers: Answers) -> bytes:
        """See `Writer.write`."""
        return plain_rows.dumps({"predictions": plain_rows.values(answers)})


def _instances(body: bytes) -> list[Any]:
    try:
        payload = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise json_text.not_json(body, error) from None
    if isinstance(payload, list):
        return payload
    if not isinstance(payload, dict) or "instances" not in payload:
        raise json_text.no_list()
    instances = payload["instances"]
    if not isinstance(instances, list):
        raise json_text.no_rows()
    return instances


def _by_cell(rows: bytes, first: int, columns: Columns) -> Instances:
    return columns.read(orjson.loads(b"[" + rows + b"]"), first)
