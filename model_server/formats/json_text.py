"""The text of a list of instances in JSON, cut between its rows before any is parsed.

A row that is right is one value, or holds no object and no list that holds another, so that a
pattern finds where it ends. What a cut leaves on its two sides is parsed as it would be in one
piece: where the cut is wrong, that is no JSON.
"""

import functools
import json
import re
from dataclasses import dataclass
from typing import NamedTuple

import msgspec
import orjson

from model_server.errors import BadRequest
from model_server.formats.plain_rows import DECODE_ERRORS

_SPACE = rb"[ \t\n\r]*+"
_STRING = rb'"(?:[^"\\]++|\\.)*+"'
_PARTED_BY = rb"%b(?:,|(?=\]))" % _SPACE
_VECTOR = rb'\[[^\[\]{}"]*+\]'
_CELLS = rb'[\[{](?:[^\[\]{}"]++|%b|%b)*+[\]}]' % (_STRING, _VECTOR)
_ROW = rb"%b(?:%b|%b|[-+.0-9A-Za-z]++)%b" % (_SPACE, _CELLS, _STRING, _PARTED_BY)
_A_ROW = re.compile(_ROW, re.DOTALL)
_ROWS = re.compile(rb"(?:%b)++" % _ROW, re.DOTALL)
_PARTED = re.compile(_PARTED_BY)
_HEAD = re.compile(rb'%b(\{%b"instances"%b:%b)?+\[' % ((_SPACE,) * 4))
_OTHERS = re.compile(rb'%b\]%b,%b(?=")' % ((_SPACE,) * 3))
_TAIL = re.compile(rb"%b\]%b(\}?)%b\Z" % ((_SPACE,) * 3))

_WHOLE_BYTES = 256 * 1024
"""Of so long a body orjson tells what is wrong; what it takes for that grows with the values."""

_SCANNER = json.JSONDecoder(parse_int=float)


class _Request(msgspec.Struct):
    instances: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _Parameters(msgspec.Struct):
    returned: list[str] | None = msgspec.field(default=None, name="return")


class _Asking(msgspec.Struct):
    parameters: _Parameters | None = None


_ASKING = msgspec.json.Decoder(_Asking)
_VALUE = msgspec.json.Decoder(msgspec.Raw)
_REQUEST = msgspec.json.Decoder(_Request)


class Block(NamedTuple):
    """Some rows, parted by commas, and where the next begins."""

    rows: bytes
    end: int


@dataclass(frozen=True)
class ListText:
    """A list of instances.

    Attributes
    ----------
    body : bytes
        That of the request.
    text : bytes
        Holds the list.
    begin : int
        Where its first row begins in the text.
    named : bool
        Whether it is a member of an object.
    checked : bool
        Whether the body is known to be JSON.
    """

    body: bytes
    text: bytes
    begin: int
    named: bool
    checked: bool

    @functools.cached_property
    def _last(self) -> int:
        """Where the list ends, most often."""
        return max(self.text.rfind(b"]"), 0)

    def guess(self, begin: int, length_bytes: int) -> Block | None:
        """Return rows that begin there, unless a text among them holds a bracket."""
        window = begin, min(begin + length_bytes, self._last)
        last = max(self.text.rfind(b"]", *window), self.text.rfind(b"}", *window))
        end = _PARTED.match(self.text, last + 1) if last >= 0 else None
        return Block(self.text[begin : last + 1], end.end()) if end else None

    def block(self, begin: int, length_bytes: int, row_limit_bytes: int) -> Block | None:
        """Return rows that begin there, or one that is longer, or None where none does."""
        rows = _ROWS.match(self.text, begin, begin + length_bytes)
        rows = rows or _A_ROW.match(self.text, begin, begin + row_limit_bytes)
        return Block(rows[0].removesuffix(b","), rows.end()) if rows else None

    def ends(self, begin: int) -> bool:
        """Tell whether there is no further row, nor another list of the same name."""
        if self.text.startswith(b",", begin - 1):
            return False
        tail = _TAIL.match(self.text, begin)
        if tail:
            return bool(tail[1]) is self.named
        others = _OTHERS.match(self.text, begin) if self.named else None
        if others is None:
            return False
        try:
            return _REQUEST.decode(b"{" + self.text[others.end() :]).instances is msgspec.UNSET
        except DECODE_ERRORS:
            return False

    def value(self, begin: int, length_bytes: int) -> Block | None:
        """Return the one value that begins there, whatever it is, or None where it is longer."""
        window = self.text[begin : begin + length_bytes].decode("latin-1")  # a character a byte
        text = window.lstrip(" \t\n\r")
        begin += len(window) - len(text)
        try:
            _, length = _SCANNER.raw_decode(text)
        except (ValueError, RecursionError):
            return None
        end = _PARTED.match(self.text, begin + length)
        return Block(self.text[begin : begin + length], end.end()) if end else None


def usual(body: bytes) -> ListText | None:
    """Return the list where nothing stands before it, without a look at what comes after."""
    head = _HEAD.match(body)
    if head is None:
        return None
    return ListText(body, body, head.end(), named=bool(head[1]), checked=False)


def find(body: bytes) -> ListText:
    """Return the list, wherever in the body it is; all of that is seen to be JSON.

    Raises
    ------
    BadRequest
    """
    begins = body.lstrip(b" \t\n\r")[:1]
    try:
        decoded = _REQUEST.decode(body).instances if begins == b"{" else _VALUE.decode(body)
    except DECODE_ERRORS as error:
        raise not_json(body, error) from None
    if begins not in (b"{", b"[") or decoded is msgspec.UNSET:
        raise no_list()
    text = bytes(decoded)
    if not text.startswith(b"["):
        raise no_rows()
    return ListText(body, text, 1, named=False, checked=True)


def returned(body: bytes) -> list[str]:
    """Return the outputs that a body asks for.

    Raises
    ------
    BadRequest
        If its parameters are none.
    """
    if not body.lstrip(b" \t\n\r").startswith(b"{"):
        return []
    try:
        parameters = _ASKING.decode(body).parameters
    except msgspec.ValidationError as error:
        raise BadRequest(
            '"parameters" is not an object with a list of outputs: '
            f'{{"return": ["prediction"]}} ({error})'
        ) from None
    except DECODE_ERRORS as error:
        raise not_json(body, error) from None
    return (parameters.returned if parameters else None) or []


def is_list(rows: bytes) -> bool:
    """Tell whether so many rows are JSON."""
    try:
        _VALUE.decode(b"[" + rows + b"]")
    except DECODE_ERRORS:
        return False
    return True


def not_json(body: bytes, error: Exception) -> BadRequest:
    """Return the error of a body of which this was found out."""
    told = str(error).removeprefix("JSON is malformed: ")
    told = told.replace("Input data was truncated", "unexpected end of data")
    if isinstance(error, RecursionError):
        told = "it is nested too deeply"
    if len(body) <= _WHOLE_BYTES:
        try:
            orjson.loads(body)
        except orjson.JSONDecodeError as exact:
            told = str(exact)
    return BadRequest(f"the body is not JSON: {told}")


def no_list() -> BadRequest:
    """Return the error of a body that holds no instances."""
    return BadRequest(
        'the body is not an object with "instances", nor a list of rows: {"instances": [...]}'
    )


def no_rows() -> BadRequest:
    """Return the error of instances that are no list."""
    return BadRequest('"instances" is not a list of rows: {"instances": [...]}')
