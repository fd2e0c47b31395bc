"""JSON Lines: a JSON value a line, an instance in and a prediction out."""

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import orjson
from typing_extensions import override

from model_server.errors import BadRequest
from model_server.formats import media_types, plain_rows
from model_server.formats.codec import NUMBER_BYTES, Steps
from model_server.formats.rows import BlockReader, Rows, end_of_lines
from model_server.model.columns import Columns, Instances, no_instances, too_long
from model_server.model.outputs import Answers


class JSONLinesReader(BlockReader):
    """Read an instance a line."""

    @override
    def _read_short(self, body: bytes, columns: Columns) -> Instances:
        end = end_of_lines(body)
        if not end:
            raise no_instances()
        return _read(body[:end], 1, columns)

    @override
    def steps(self, body: bytes, columns: Columns) -> Steps:
        """See `Reader.steps`."""
        rows, begin, last = Rows(columns, len(body)), 0, end_of_lines(body)
        while begin < last:
            end = self._end_of_block(body, begin, last, columns.row_limit_bytes)
            if end - begin > columns.row_limit_bytes:
                raise too_long(rows.next, columns)
            rows.add(_read(body[begin:end], rows.next, columns))
            begin = end + 1
            yield
        return rows.joined()

    def _end_of_block(self, body: bytes, begin: int, last: int, row_limit_bytes: int) -> int:
        """Return where the last line ends that ends in this block, or else the first."""
        soft, hard = begin + self._block_bytes, min(begin + row_limit_bytes + 1, last)
        if soft >= last:
            return last
        end = body.rfind(b"\n", begin, soft)
        end = end if end >= 0 else body.find(b"\n", soft, hard)
        return end if end >= 0 else hard


class JSONLinesWriter:
    """Write a prediction a line, or an object where several outputs are asked for."""

    media_type = media_types.JSON_LINES
    number_bytes = NUMBER_BYTES

    def write(self, answers: Answers) -> bytes:
        """See `Writer.write`."""
        values = plain_rows.values(answers)
        if isinstance(values, np.ndarray) and values.ndim == 1:
            return plain_rows.lines(values)
        return b"".join(plain_rows.dumps(value) + b"\n" for value in values)


def _read(block: bytes, first: int, columns: Columns) -> Instances:
    lines, plain = block.split(b"\n"), plain_rows.of(columns)
    decode = plain.row.decode
    with contextlib.suppress(*plain_rows.DECODE_ERRORS):
        X = plain.joined([decode(line) for line in lines])
        if X is not None:
            return X
    return columns.read(_instances(lines, first), first)


def _instances(lines: list[bytes], first: int) -> Iterator[Any]:
    for row, line in enumerate(lines, start=first):
        try:
            yield orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise BadRequest(f"row {row} is not JSON: {error}", row=row) from None
