"""A cell of a CSV file that a spreadsheet shows and never runs.

A spreadsheet takes what begins with one of ``= + - @`` for a formula. Such a cell gets an
apostrophe in front, which makes it text, as OWASP's "CSV Injection" and ASVS 1.2.10 have it; a
number is let be. A spreadsheet of another country cuts rows at other marks, quoted or not: so what
stands behind such a mark inside of a cell is treated as a cell of its own.
"""

import re

from application.language import THOUSANDS

_BEGINS = "=+@\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}\N{FULLWIDTH COMMERCIAL AT}"
_BEGINS += "\N{FULLWIDTH HYPHEN-MINUS}-"
_DROPPED = "\\s\0-\x1f\\u200b-\\u200f\\ufeff"
"""What a spreadsheet may not see at the beginning of a cell."""
_FIRST = re.compile(f'[\t\r\n\0]|["{_DROPPED}]*[{_BEGINS}]')
_LATER = re.compile(f'"*[{_BEGINS}]')
_CUT = re.compile("([,;|\t\r\n])")
_NUMBER = re.compile(rf"\s*[+-]?[.,]?[0-9][0-9.,{THOUSANDS}]*(?:[eE][+-]?[0-9]+)?%?\s*")
_MARK = re.compile(f"[\t\r\n\0{_BEGINS}]")


def inert(text: str) -> str:
    """Return the text of a cell as it is written; what was written so is written so again.

    Parameters
    ----------
    text : str
    """
    if not _MARK.search(text) or _NUMBER.fullmatch(text):
        return text
    first = "'" if _FIRST.match(text) else ""
    begun, *later = _CUT.split(text)
    return first + begun + "".join(_marked(piece) for piece in later)


def _marked(piece: str) -> str:
    return f"'{piece}" if _LATER.match(piece) and not _NUMBER.fullmatch(piece) else piece
