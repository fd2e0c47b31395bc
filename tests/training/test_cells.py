"""The training takes for a number what the server and the application do."""

import csv
from pathlib import Path

import pytest

from tests.number_cases import EMPTY, GROUPED, NO_NUMBERS, NOT_FINITE, NUMBERS
from training import cells, table
from training.boston import scaled
from training.errors import CellError


def column(folder: Path, *texts: str) -> list[str]:
    """Return texts as they are in a table that was read from a file."""
    path = folder / "own.csv"
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([["note", "a"], *(["", text] for text in texts)])
    return table.read(path)["a"]


def test_numbers_are_read(tmp_path: Path) -> None:
    read = cells.numbers("a", column(tmp_path, *NUMBERS))
    assert read.tolist() == list(NUMBERS.values())


@pytest.mark.parametrize("text", [*NOT_FINITE, *NO_NUMBERS, *GROUPED, *EMPTY])
def test_what_is_none_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(CellError) as refused:
        cells.numbers("a", column(tmp_path, "1", text))
    assert refused.value.row == 2


@pytest.mark.parametrize("text", [*NOT_FINITE, *NO_NUMBERS])
def test_texts_are_those_that_are_no_numbers(tmp_path: Path, text: str) -> None:
    assert cells.is_text("a", column(tmp_path, text)) == (text in NO_NUMBERS)


@pytest.mark.parametrize("text", ["1_0", "٣", "six", "1e999999"])
def test_a_target_that_is_no_number_is_not_scaled(text: str) -> None:
    assert scaled({"MEDV": [text, "21.6"]})["MEDV"] == [text, "21600.0"]
