"""Numbers read and written by locale."""

import re

import pytest
from babel.localedata import locale_identifiers

from application.language import negotiate


@pytest.mark.parametrize(
    ("language", "text", "value"),
    [
        ("en", "6.5", 6.5),
        ("en", "1,234", 1234),
        ("en", " 1,234.5 ", 1234.5),
        ("en", "1e3", 1000),
        ("de", "6,5", 6.5),
        ("de", "6.5", 6.5),
        ("fr", "1\N{NARROW NO-BREAK SPACE}234,5", 1234.5),
        ("de-CH", "1'234.5", 1234.5),
        ("de", "-,5e-1", -0.05),
        ("fr", " 1\N{NO-BREAK SPACE}234\N{NO-BREAK SPACE}567\t", 1234567),
        ("en", "1 234.5", 1234.5),
    ],
)
def test_a_number_is_read(language: str, text: str, value: float) -> None:
    assert negotiate(language).read(text) == value


@pytest.mark.parametrize("text", ["6,5", "six", "1_0", "1,23,4", "6 5", "1 23", ",5"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(text)):
        negotiate("en").read(text)


@pytest.mark.parametrize(
    ("language", "value", "unit", "text"),
    [
        ("en", 24800, "USD", "$24,800"),
        ("en-GB", 24800, "USD", "US$24,800"),
        ("en", 12.5, "%", "12.5%"),
        ("de", 12.5, "%", "12,5\N{NO-BREAK SPACE}%"),
        ("de", 6.2085, "rooms", "6,208 rooms"),
        ("en", 0.00632, "", "0.00632"),
        ("en", 1e30, "USD", "1E30 USD"),
        ("de", -1.25e300, "%", "-1,25E300 %"),
        ("en", 5e-324, "USD", "$0"),
    ],
)
def test_an_amount_is_written(language: str, value: float, unit: str, text: str) -> None:
    assert negotiate(language).amount(value, unit) == text


def test_a_field_has_no_marks_between_thousands() -> None:
    assert negotiate("de").field(1234.5) == "1234,5"


@pytest.mark.parametrize("language", ["en", "de", "fr", "de-CH", "bgn"])
@pytest.mark.parametrize("value", [6.2085, 330.0, 0.1 + 0.2, 1e-7, -1.5e300, 0.0])
def test_a_field_holds_the_number_exactly(language: str, value: float) -> None:
    chosen = negotiate(language)
    text = chosen.field(value)
    assert chosen.read(text) == value
    assert not text.endswith(".0")


@pytest.mark.parametrize("header", ["", "*", "zz", "en;q=", "-", "\x00", "de" * 500])
def test_a_header_without_sense_is_english(header: str) -> None:
    assert negotiate(header).number(1.5) == "1.5"


def test_every_locale_has_a_way_with_numbers() -> None:
    for locale in locale_identifiers():
        chosen = negotiate(locale.replace("_", "-"))
        for value in (-1234.5, 1e30):
            assert chosen.number(value)
            assert chosen.read(chosen.field(value)) == value
