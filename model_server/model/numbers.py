"""What a number is where it comes as text: in CSV, for the server and the training alike.

::

    number = space [sign] (digits ["." [digits]] | "." digits) [("e" | "E") [sign] digits] space
    space  = any of the four that JSON has: blank, tab, line feed, carriage return

The digits are 0 to 9. `float` reads more than people mean: ``1_0``, or digits of other scripts.
The words that it has for what is not finite (``nan``, ``inf``, ``infinity``) are read, so that
whoever reads can say what is wrong with them.

The application reads as much: `tests/number_cases.py` holds for all three.
"""

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

SPACE = " \t\n\r"

_FINITE = r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"

_NUMBER = re.compile(
    rf"[+-]?(?:{_FINITE}|nan|inf(?:inity)?)",
    re.IGNORECASE | re.ASCII,
)
_ALL = re.compile(rf"(?:[{SPACE}]*+[+-]?{_FINITE}[{SPACE}]*+,)*+", re.ASCII)


def is_number(text: str) -> bool:
    """Tell whether a text is a number, be it finite or not."""
    return _NUMBER.fullmatch(text.strip(SPACE)) is not None


def read(text: str) -> float:
    """Read a number, be it finite or not.

    Raises
    ------
    ValueError
        If the text is none.
    """
    if not is_number(text):
        raise ValueError(f"{text[:40]!r} is not a number")
    return float(text)


def read_all(texts: Sequence[str]) -> npt.NDArray[np.float64] | None:
    """Read texts that are numbers each, or return None; a number may come out infinite."""
    together = ",".join([*texts, ""])
    if together.count(",") != len(texts) or not _ALL.fullmatch(together):
        return None
    return np.fromiter(map(float, texts), np.float64, len(texts))
