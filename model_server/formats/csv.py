"""CSV: a line a row, with or without a header line in; a line a row, without one, out."""

import codecs
import collections
import csv
import io
import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from typing_extensions import override

from model_server.errors import BadRequest
from model_server.formats import media_types, plain_rows
from model_server.formats.codec import NUMBER_BYTES, Steps
from model_server.formats.rows import BlockReader, Rows, end_of_lines, read_each
from model_server.model.columns import Columns, Instances, no_instances, too_long
from model_server.model.outputs import Answers

_LINE_END = re.compile(rb"\r\n?|\n")
_QUOTED, _UNQUOTED = rb'"(?:[^"]++|"")*+', rb'[^",\r\n][^,\r\n]*+'
_CELL = rb'(?:%b"|%b)?+' % (_QUOTED, _UNQUOTED)
_ROWS = re.compile(rb"(?:%b(?:,%b)*+(?:\r\n?|\n))++" % (_CELL, _CELL))
_LAST_CELL = rb'(?:%b(?:"|\Z)|%b)?+' % (_QUOTED, _UNQUOTED)
_LAST_ROW = re.compile(rb"%b(?:,%b)*+(?:\r\n?|\n|\Z)" % (_LAST_CELL, _LAST_CELL))
_BEGINS_NUMBER = b"-0123456789"
_FEW = 64
_TRUTHS = {True: "true", False: "false"}


class CSVReader(BlockReader):
    """Read a row a line.

    The first line is a header if it holds a feature's name, or nothing that a model of numbers
    only could read.
    """

    @override
    def _read_short(self, body: bytes, columns: Columns) -> Instances:
        if body[:1] in _BEGINS_NUMBER and not columns.named_by_number:
            X = _plain(body.rstrip(b"\r\n"), columns)  # without a look for a header
            if X is not None:
                return X
        table = _table(body, columns)
        if table.begin >= table.end:
            raise no_instances()
        return table.read(slice(table.begin, table.end), 1)

    @override
    def steps(self, body: bytes, columns: Columns) -> Steps:
        """See `Reader.steps`."""
        table = _table(body, columns)
        blocks = table.blocks(self._block_bytes)
        return read_each(blocks, Rows(columns, len(body)), table.read, table.check)


class CSVWriter:
    """Write a line a row: one column for each number or label of each output."""

    media_type = media_types.CSV
    number_bytes = NUMBER_BYTES

    def write(self, answers: Answers) -> bytes:
        """See `Writer.write`."""
        outputs = list(answers.values())
        if len(outputs) == 1 and plain_rows.are_numbers(outputs[0]):
            return plain_rows.lines(outputs[0])
        columns = [y.reshape(len(y), -1).tolist() for y in outputs]
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(
            map(_written, itertools.chain(*parts)) for parts in zip(*columns, strict=True)
        )
        return text.getvalue().encode()


@dataclass(slots=True)
class _Table:
    """Where the rows of a body are, and in which order their cells.

    Attributes
    ----------
    body : bytes
    columns : Columns
    begin, end : int
        Of the rows in the body.
    order : list of int
        Where each feature stands.
    width : int
        How many cells a row has.
    """

    body: bytes
    columns: Columns
    begin: int
    end: int
    order: list[int]
    width: int

    def blocks(self, block_bytes: int) -> Iterator[slice]:
        """Cut the rows into blocks, at ends of rows; a row that is too long is cut as well."""
        end_of = self._end_of_rows if self.body.find(b'"', self.begin) >= 0 else self._end_of_lines
        begin = self.begin
        while begin < self.end:
            end = min(begin + block_bytes, self.end)
            if end < self.end:
                end = end_of(begin, end, min(begin + self.columns.row_limit_bytes + 1, self.end))
                end += self.body.startswith(b"\r\n", end - 1)  # which the cut must not part
            yield slice(begin, end)
            begin = end

    def read(self, block: slice, first: int) -> Instances:
        """Read some rows, the first of which has the number given."""
        if block.stop - block.start > self.columns.row_limit_bytes:
            raise too_long(first, self.columns)
        plain = self.width == len(self.order)
        X = _plain(self.body[block], self.columns) if plain else None
        if X is not None:
            return X if self.order is self.columns.in_order else X[:, self.order]
        X = self._by_column(self._lines(block))
        return self._by_cell(self._lines(block), first) if X is None else X

    def check(self, block: slice) -> None:
        """See that some rows are CSV in UTF-8.

        Raises
        ------
        BadRequest
        """
        collections.deque(self._lines(block), maxlen=0)

    def _end_of_lines(self, begin: int, soft: int, hard: int) -> int:
        """Return where the last line ends that ends before `soft`, or else the first."""
        for end in (b"\n", b"\r"):
            last = self.body.rfind(end, begin, soft)
            if last >= 0:
                return last + 1
        line_end = _LINE_END.search(self.body, soft, hard)
        return line_end.end() if line_end else hard

    def _end_of_rows(self, begin: int, soft: int, hard: int) -> int:
        """Return the same of rows whose cells may hold ends of lines, between quotes."""
        rows = _ROWS.match(self.body, begin, soft) or _LAST_ROW.match(self.body, begin, hard)
        if rows is None:
            self.check(slice(begin, hard))  # tells which quote is at fault
            return hard
        return rows.end()

    def _by_column(self, lines: Iterable[list[str]]) -> Instances | None:
        """Read rows whose cells all fit; None where one does not."""
        cells: list[str] = []
        for line in lines:
            if len(line) != self.width:
                return None
            cells += line
        return self.columns.read_texts(cells, self.order, self.width)

    def _by_cell(self, lines: Iterator[list[str]], first: int) -> Instances:
        """Read rows up to one that does not fit, and tell of that."""
        parts: list[Instances] = []
        while few := list(itertools.islice(lines, _FEW)):
            X = self._by_column(few)
            if X is None:
                X = self.columns.read_lines(self._ordered(few, first), first)
            parts.append(X)
            first += len(few)
        return np.concatenate(parts)

    def _ordered(self, lines: list[list[str]], first: int) -> Iterator[list[str]]:
        for row, line in enumerate(lines, start=first):
            if len(line) == self.width:
                yield [line[place] for place in self.order]
            elif self.width == len(self.order):
                raise self.columns.wrong_count(row, len(line))
            else:
                told = f"{self.width} values expected, as in the header, {len(line)} given"
                raise BadRequest(f"row {row}: {told}", row=row)

    def _lines(self, block: slice) -> Iterator[list[str]]:
        return _lines(self.body[block], block.start - self.begin)


def _written(value: Any) -> Any:
    """Write truths as they are read."""
    return _TRUTHS[value] if isinstance(value, bool) else value


def _plain(rows: bytes, columns: Columns) -> Instances | None:
    """Read rows of numbers as JSON has them; None where there is aught else."""
    if not columns.only_numbers or not columns.complete or b"[" in rows or b"]" in rows:
        return None
    rows = rows.replace(b"\r\n", b"\n").replace(b"\r", b"\n").removesuffix(b"\n")
    return plain_rows.of(columns).read(b"[" + rows.replace(b"\n", b"],[") + b"]")


def _table(body: bytes, columns: Columns) -> _Table:
    begin = len(codecs.BOM_UTF8) if body.startswith(codecs.BOM_UTF8) else 0
    end = max(end_of_lines(body), begin)
    hard = begin + columns.row_limit_bytes
    line_end = _LINE_END.search(body, begin, min(hard + 1, end))
    first = slice(begin, line_end.start() if line_end else end)
    if first.stop > hard:
        raise too_long(1, columns)
    names = next(_lines(body[first])) if first.stop > begin else []
    if not names or not columns.is_header(names):
        return _Table(body, columns, begin, end, columns.in_order, len(columns.names))
    rows = line_end.end() if line_end else end
    return _Table(body, columns, rows, end, columns.order(names), len(names))


def _lines(text: bytes, place: int = 0) -> Iterator[list[str]]:
    """Read the cells of each row of a text that stands at this place among the rows."""
    try:
        yield from csv.reader(io.StringIO(text.decode(), newline=""), strict=True)
    except UnicodeDecodeError as error:
        seen, begin, end = bytes(place) + text, place + error.start, place + error.end
        told = UnicodeDecodeError(error.encoding, seen, begin, end, error.reason)
        raise _not_csv(told) from None
    except csv.Error as error:
        raise _not_csv(error) from None


def _not_csv(problem: Exception) -> BadRequest:
    return BadRequest(f"the body is not CSV in UTF-8: {problem}")
