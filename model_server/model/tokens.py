"""The tokens of a text, as scikit-learn's vectorizers come by them, for graphs that count them.

What is done, and in which order, is that of `sklearn.feature_extraction.text` (version 1.9): the
text is put into lower case, its accents are taken off, it is cut into words or characters, stop
words are left out, and neighbours are joined.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from model_server.model.manifest import Tokens

_SPACES = re.compile(r"\s\s+")


class Tokenizer:
    """Cut texts into tokens.

    Parameters
    ----------
    tokens : Tokens
        How.
    absent : str
        What stands where a row has fewer tokens than another; none of them.
    """

    def __init__(self, tokens: Tokens, absent: str) -> None:
        self._tokens = tokens
        self._absent = absent
        self._stop_words = frozenset(tokens.stop_words)
        self._find = re.compile(tokens.pattern).findall
        self._strip = _STRIPPING[tokens.strip_accents]
        self._cut = {"word": self._words, "char": self._characters, "char_wb": self._within_words}[
            tokens.analyzer
        ]

    def array(self, texts: Iterable[str]) -> npt.NDArray[Any]:
        """Return the tokens of each text, of shape (n_texts, n_most), str."""
        rows = [self.cut(text) for text in texts]
        array = np.full((len(rows), max(map(len, rows), default=0) or 1), self._absent, object)
        for row, tokens in zip(array, rows, strict=True):
            row[: len(tokens)] = tokens
        return array

    def cut(self, text: str) -> list[str]:
        """Return the tokens of a text."""
        return self._cut(self._strip(text.lower() if self._tokens.lowercase else text))

    def _words(self, text: str) -> list[str]:
        words = [word for word in self._find(text) if word not in self._stop_words]
        return _neighbours(words, self._tokens.ngrams, " ".join)

    def _characters(self, text: str) -> list[str]:
        return _neighbours(_SPACES.sub(" ", text), self._tokens.ngrams, "".join)

    def _within_words(self, text: str) -> list[str]:
        least, most = self._tokens.ngrams
        found: list[str] = []
        for word in _SPACES.sub(" ", text).split():
            padded = f" {word} "
            for length in range(least, most + 1):
                last = max(len(padded) - length, 0)
                found += [padded[at : at + length] for at in range(last + 1)]
                if not last:  # a short word is counted once
                    break
        return found


def _neighbours(
    parts: Sequence[str], ngrams: tuple[int, int], join: Callable[[Sequence[str]], str]
) -> list[str]:
    """Join each part with those that follow it, so many at a time."""
    least, most = ngrams
    return [
        join(parts[at : at + length])
        for length in range(least, min(most, len(parts)) + 1)
        for at in range(len(parts) - length + 1)
    ]


def _without_accents(text: str) -> str:
    if text.isascii():
        return text
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))


def _in_ascii(text: str) -> str:
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii")


_STRIPPING: dict[str, Callable[[str], str]] = {
    "": lambda text: text,
    "ascii": _in_ascii,
    "unicode": _without_accents,
}
