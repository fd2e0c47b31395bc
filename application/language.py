"""Numbers as the reader's locale writes and reads them; the words are English."""

import functools
import re

from babel import Locale, UnknownLocaleError
from babel.numbers import parse_pattern

from application import number

CURRENCIES = ("USD", "EUR", "GBP", "JPY", "CHF")
THOUSANDS = (
    " \N{NO-BREAK SPACE}\N{THIN SPACE}\N{FIGURE SPACE}\N{NARROW NO-BREAK SPACE}"
    "'\N{RIGHT SINGLE QUOTATION MARK}"
)
"""What stands between thousands beside comma and point."""
_PLAIN = parse_pattern("#,##0.######")
_SCIENTIFIC = parse_pattern("0.######E0")
_LONGEST = 1e15
"""From here on the digits of a number are not written out."""


class Language:
    """One locale's way with numbers.

    Parameters
    ----------
    locale : Locale
    """

    def __init__(self, locale: Locale) -> None:
        self._locale = locale
        self.decimal_mark: str = locale.number_symbols["latn"]["decimal"]
        comma = "" if self.decimal_mark == "," else ","
        self._thousands = re.compile(f"[{THOUSANDS}{comma}]")
        self._written = _pattern(self._thousands.pattern, f"[.{self.decimal_mark}]")
        self._money = parse_pattern(locale.currency_formats["standard"].pattern)
        self._money.frac_prec = (0, 0)
        self._percent = parse_pattern(locale.percent_formats[None].pattern)
        self._percent.frac_prec = (0, 4)

    def number(self, value: float, digits: int = 4) -> str:
        """Write a number with so many significant digits."""
        pattern = _PLAIN if abs(value) < _LONGEST else _SCIENTIFIC
        return str(pattern.apply(_rounded(value, digits), self._locale))

    def amount(self, value: float, unit: str, digits: int = 4) -> str:
        """Write a number with its unit; whole currencies."""
        if abs(value) >= _LONGEST:
            return f"{self.number(value, digits)} {unit}".rstrip()
        if unit in CURRENCIES:
            return str(
                self._money.apply(
                    _rounded(value, digits), self._locale, currency=unit, currency_digits=False
                )
            )
        if unit == "%":
            return str(self._percent.apply(_rounded(value, digits) / 100, self._locale))
        return f"{self.number(value, digits)} {unit}".rstrip()

    def field(self, value: float) -> str:
        """Write a number exactly, as it stands in a form's field: no marks between thousands."""
        return repr(value).removesuffix(".0").replace(".", self.decimal_mark)

    def read(self, text: str) -> float:
        """Read what a person typed, be it finite or not; a point is always a decimal mark.

        Raises
        ------
        ValueError
            If it is no number.
        """
        return number.read(self._plain(text))

    def _plain(self, text: str) -> str:
        """Return what is written in the locale's way as the model server reads it."""
        if not self._written.fullmatch(text):
            return text
        return self._thousands.sub("", text).replace(self.decimal_mark, ".")


def negotiate(accept_language: str) -> Language:
    """Return the language that an ``Accept-Language`` header likes best; English where it can't.

    Parameters
    ----------
    accept_language : str
    """
    return _liked(accept_language[:200])


@functools.lru_cache(maxsize=256)
def _liked(accept_language: str) -> Language:
    for tag in sorted(accept_language.split(","), key=_quality, reverse=True):
        try:
            return Language(Locale.parse(tag.partition(";")[0].strip(), sep="-"))
        except (UnknownLocaleError, ValueError, TypeError):
            continue
    return Language(Locale("en", "US"))


def _quality(tag: str) -> float:
    found = re.search(r";\s*q=([01](?:\.\d*)?)\s*$", tag)
    return float(found[1]) if found else 1.0


def _pattern(thousands: str, mark: str) -> re.Pattern[str]:
    whole = rf"(?:[0-9]{{1,3}}(?:{thousands}[0-9]{{3}})+|[0-9]+)"
    digits = rf"[+-]?(?:{whole}(?:{mark}[0-9]*)?|{mark}[0-9]+)(?:[eE][+-]?[0-9]+)?"
    return re.compile(f"[{number.SPACE}]*{digits}[{number.SPACE}]*")


def _rounded(value: float, digits: int) -> float:
    return float(f"{value:.{digits}g}")
