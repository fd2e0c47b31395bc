"""uv goes where pip is configured to go, whose configuration it does not read itself."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.processes import ROOT

pytestmark = pytest.mark.slow

CONFIGURED = """[global]
index-url = https://index.invalid/simple
cert = /global.pem
[install]
cert = /install.pem
"""
FROM_FILE = {"UV_DEFAULT_INDEX": "https://index.invalid/simple", "SSL_CERT_FILE": "/install.pem"}
OURS = ("PIP_", "UV_", "SSL_CERT_FILE")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Configure pip by a file, and put a uv first that tells what it is given."""
    (tmp_path / "pip.conf").write_text(CONFIGURED)
    uv = tmp_path / "bin/uv"
    uv.parent.mkdir()
    uv.write_text('#!/bin/sh\nenv\n[ "$*" = "pip list" ]\n')
    uv.chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    return {
        **kept,
        "PIP_CONFIG_FILE": str(tmp_path / "pip.conf"),
        "PATH": f"{uv.parent}:{os.environ['PATH']}",
    }


def told(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "requirements/uv_as_pip.py", sys.prefix, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, FROM_FILE),
        ({"PIP_CERT": "/mine.pem"}, FROM_FILE | {"SSL_CERT_FILE": "/mine.pem"}),
        (
            {"PIP_INDEX_URL": "https://mine.invalid", "UV_DEFAULT_INDEX": "https://uv.invalid"},
            FROM_FILE | {"UV_DEFAULT_INDEX": "https://uv.invalid"},
        ),
    ],
    ids=["a file", "pip's variable", "uv's own variable"],
)
def test_what_counts(
    environment: dict[str, str], variables: dict[str, str], expected: dict[str, str]
) -> None:
    lines = told(environment | variables, "pip", "list").stdout.splitlines()

    given = dict(line.split("=", 1) for line in lines if line.startswith(tuple(expected)))
    assert given == expected


def test_a_failure_is_its_status_alone(environment: dict[str, str]) -> None:
    ended = told(environment, "pip", "unheard-of")

    assert (ended.returncode, ended.stderr) == (1, "")
