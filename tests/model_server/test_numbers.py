"""Texts are numbers, or none, as the table says; also by the fuzzing's second reading."""

import csv
import io
from collections.abc import Callable
from typing import Any

import pytest

from model_server.errors import BadRequest
from model_server.formats.csv import CSVReader
from model_server.model import numbers
from model_server.model.columns import Columns
from model_server.model.manifest import Feature
from soak.fuzzing import reading
from tests.number_cases import EMPTY, GROUPED, NO_NUMBERS, NOT_FINITE, NUMBERS

COLUMNS = Columns([Feature(name="a"), Feature(name="b")])
MIXED = Columns([Feature(name="a"), Feature(name="b", type="category", categories=("x", "1"))])
Read = Callable[[bytes, Columns], Any]


def body(text: str) -> bytes:
    """Write a file whose one cell is a text as it is, in quotes where it needs them."""
    lines = io.StringIO()
    csv.writer(lines).writerows([["a", "b"], [text, "1"]])
    return lines.getvalue().encode()


@pytest.fixture(params=[CSVReader().read, reading.read_csv], ids=["server", "second reading"])
def read(request: pytest.FixtureRequest) -> Read:
    return request.param  # type: ignore[no-any-return]


@pytest.mark.parametrize("columns", [COLUMNS, MIXED])
@pytest.mark.parametrize(("text", "value"), NUMBERS.items())
def test_a_number_is_read(read: Read, columns: Columns, text: str, value: float) -> None:
    assert read(body(text), columns)[0][0] == value == numbers.read(text)


@pytest.mark.parametrize("text", [*NOT_FINITE, *NO_NUMBERS, *GROUPED, *EMPTY])
def test_what_is_none_is_refused(read: Read, text: str) -> None:
    with pytest.raises(ValueError if read is reading.read_csv else BadRequest):
        read(body(text), COLUMNS)


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (NOT_FINITE, "is not a finite number"),
        ((*NO_NUMBERS, *GROUPED), "is not a number"),
        (EMPTY, "is empty"),
    ],
)
def test_what_is_wrong_is_told(texts: tuple[str, ...], words: str) -> None:
    for text in texts:
        with pytest.raises(BadRequest) as refused:
            CSVReader().read(body(text), COLUMNS)
        message = str(refused.value)
        assert message.startswith("row 1, feature 'a': ")
        assert message.endswith(words)
        assert len(message) < 100
        assert refused.value.members == {"row": 1, "feature": "a"}


@pytest.mark.parametrize("text", ["1_0", "٣"])
def test_what_is_none_may_be_a_header(text: str) -> None:
    assert COLUMNS.is_header([text, text])
    assert not COLUMNS.is_header([text, "1"])
