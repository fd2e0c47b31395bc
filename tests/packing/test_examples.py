"""The worked examples of the docs, as they stand."""

import json
import re
import shlex
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from harness.processes import ROOT, ServerProcess
from model_server.packing import command

pytestmark = pytest.mark.slow

_ANY = re.MULTILINE | re.DOTALL
PAGE = (ROOT / "docs/examples.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^## (.+?)$\n\n```python\n(.+?)```\n\n```console\n(.+?)```", PAGE, _ANY)
PACK = ["python", "-m", "model_server", "pack"]


def lines(console: str) -> Iterator[tuple[list[str], str]]:
    """Yield each command of a block, and what it prints."""
    for part in console.split("$ ")[1:]:
        told, _, printed = part.partition("\n")
        yield shlex.split(told), printed.strip()


def test_every_example_is_found() -> None:
    assert len(BLOCKS) == PAGE.count("```python") == 6


@pytest.mark.filterwarnings("ignore")
def test_they_answer_as_they_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for _, python, console in BLOCKS:
        exec(compile(python, "example", "exec"), {})
        for given, _ in lines(console):
            if given[:4] == PACK:
                assert command.main(given[4:]) == 0
    asked = 0
    with ServerProcess(tmp_path / "models", log=tmp_path / "log") as server:
        for title, _, console in BLOCKS:
            for given, printed in lines(console):
                if given[0] == "curl":
                    asked += 1
                    assert_near(read(ask(server, given)), read(printed), title)
    assert asked == 7


def ask(server: ServerProcess, given: list[str]) -> str:
    """Send what a line of curl would."""
    headers = dict(text.split(": ") for flag, text in pairwise(given) if flag == "-H")
    address = given[1].removeprefix("localhost:8080")
    body = given[given.index("-d") + 1]
    return httpx.post(f"{server.url}{address}", content=body, headers=headers, timeout=30).text


def read(text: str) -> Any:
    return [json.loads(line) for line in text.splitlines()]


def assert_near(actual: Any, expected: Any, title: str) -> None:
    """See that numbers are near and all else is the same; a version is that of the estimator."""
    if isinstance(expected, dict):
        assert actual.keys() == expected.keys(), title
        for key, value in expected.items():
            if key != "model_version":
                assert_near(actual[key], value, title)
    elif isinstance(expected, list):
        assert len(actual) == len(expected), title
        for one, other in zip(actual, expected, strict=True):
            assert_near(one, other, title)
    elif isinstance(expected, float):
        assert actual == pytest.approx(expected, rel=1e-4), title
    else:
        assert actual == expected, title
