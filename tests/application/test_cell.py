"""Cells that a spreadsheet shows and never runs."""

import csv
import io
import re

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from application.cell import inert
from tests.application.conftest import Connect
from tests.application.stand_in import WINE, StandIn
from tests.number_cases import NUMBERS

FORMULAS = ["=1+1", "+1+1", "-1+1", "@SUM(A1)", "=cmd|'/C calc'!A0", "-2+3+cmd|' /C calc'!A0"]
"""Of OWASP's "CSV Injection" and the payloads that it refers to."""
HIDDEN = ["\t=1", "\r=1", "\n=1", " =1", "\0=1", '"=1', "\ufeff=1", "\N{FULLWIDTH EQUALS SIGN}1"]
LATER = ['a";=1+1', "a\t=1", "a\n=1", "a,@x", 'a;"=1', "1;-1+1"]
HARMLESS = ["", "a", "a=b", "me@x.test", "1-2", "a, -b", "'=1", "-1.5", "+1,5", "-1.234,5"]
CUTS = ",;|\t\r\n"
RUNS = re.compile(r'["\s\0-\x1f]*[=+\-@]')
NUMBER = re.compile(r"\s*[+-]?[0-9., '\N{RIGHT SINGLE QUOTATION MARK}\s]+([eE][+-]?[0-9]+)?%?\s*")


@pytest.mark.parametrize("text", [*FORMULAS, *HIDDEN, "\tx", "\rx", "-", "--1", "- 1", "-inf"])
def test_what_begins_like_a_formula_is_text(text: str) -> None:
    assert inert(text).startswith("'")
    assert inert(text).replace("'", "") == text.replace("'", "")


@pytest.mark.parametrize("text", LATER)
def test_so_is_what_another_country_cuts_off(text: str) -> None:
    assert inert(text) == re.sub(r'(?<=[,;\t\n])(?="?[=@-])', "'", text)


@pytest.mark.parametrize("text", [*NUMBERS, *HARMLESS])
def test_numbers_and_plain_text_stay(text: str) -> None:
    assert inert(text) == text


@settings(database=None, deadline=None, max_examples=300)
@given(st.text(st.sampled_from([*"=+-@a1.e%'\" ", *CUTS, "\0"]), max_size=12))
def test_nothing_that_any_spreadsheet_cuts_off_runs(text: str) -> None:
    written = inert(text)
    assert inert(written) == written
    pieces = [written] if NUMBER.fullmatch(written) else re.split(f"[{CUTS}]", written)
    for at, piece in enumerate(pieces):
        runs = RUNS.match(piece) if at == 0 else re.match('"*[=+\\-@]', piece)
        assert not runs or NUMBER.fullmatch(piece), (text, written)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("sent_by", ["form", "script"])
async def test_a_file_comes_back_so(
    client: httpx.AsyncClient, endpoint: StandIn, delimiter: str, sent_by: str
) -> None:
    texts = [*FORMULAS, *HIDDEN, *NUMBERS, *HARMLESS]
    sent = io.StringIO()
    csv.writer(sent, delimiter=delimiter).writerows(
        [["=note", "@by", "RM"], *([text, "-1.5", "6.5"] for text in texts)]
    )
    content = sent.getvalue().encode()
    address = "/models/rooms/file"
    answer = (
        await client.post(address, files={"file": ("a.csv", content)})
        if sent_by == "form"
        else await client.post(address, content=content, headers={"content-type": "text/csv"})
    )
    rows = list(csv.reader(io.StringIO(answer.text, newline=""), delimiter=delimiter))
    assert rows[0] == ["'=note", "'@by", "RM", "MEDV predicted", "problem"]
    assert [row[0] for row in rows[1:]] == [inert(text) for text in texts]
    assert {tuple(row[1:]) for row in rows[1:]} == {("-1.5", "6.5", "24800.4", "")}


async def test_a_model_with_such_names_can_be_asked(connect: Connect, endpoint: StandIn) -> None:
    endpoint.schemas["formula"] = {
        **WINE,
        "name": "formula",
        "features": {
            "properties": {
                "=x": {"title": "=x", "type": "number", "default": -1.5},
                "@c": {"title": "@c", "type": "string", "enum": ["-none", "+some"]},
            }
        },
        "target": {"title": "-y", "enum": ["=a", "b"]},
    }
    endpoint.value = "=a"
    client = connect()
    example = await client.get("/models/formula/example.csv")
    assert example.text.splitlines() == ["'=x,'@c", "-1.5,'-none"]
    answer = await client.post("/models/formula/file", content=example.content)
    assert answer.text.splitlines() == [
        "'=x,'@c,'-y predicted,problem",
        "-1.5,'-none,'=a,",
    ]
    assert endpoint.rows == [[{"=x": "-1.5", "@c": "-none"}]]
