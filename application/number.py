"""Numbers as the model server reads them.

The server's `model/numbers.py` gives the grammar in words; this is the same, as the application
shares no code with the server. It reads numbers by itself so that all that is wrong with a form or
a row is told at once, and a file full of mistakes costs the server no request for each.
`tests/number_cases.py` holds both to one table.
"""

import re

SPACE = " \t\n\r"

_NUMBER = re.compile(
    r"[+-]?(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|nan|inf(?:inity)?)",
    re.IGNORECASE | re.ASCII,
)


def read(text: str) -> float:
    """Read a number, be it finite or not.

    Raises
    ------
    ValueError
        If the text is none.
    """
    if not _NUMBER.fullmatch(text.strip(SPACE)):
        raise ValueError(text)
    return float(text)
