"""The benchmark as a process of its own, and what makes it stop."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from bench.errors import BenchError
from bench.marks import Mark
from bench.models import JSON, Model
from bench.rounds import Key
from bench.wrk import Request, Wrk
from harness.processes import ROOT
from model_server.model.manifest import Tolerance

EVERY_LOAD = ("one row, 32 connections", "process")
BOOSTING_LOADS = (
    "one row, 1 connection",
    "one row of v2, 32 connections",
    "1,000 rows of JSON, 1 connection",
    "1,000 rows of CSV, 1 connection",
    "one row, 4 connections",
    "the same, beside batches of 5,000 rows",
)
BOOSTING, TEXTS = "gradient boosting of 200 trees", "linear model of TF-IDF"
MARKS = (
    ("requests/s, one row, 32 connections", "at least 14 times stock's"),
    ("requests/s, one row, 32 connections", "at least 0.6 times the ceiling's"),
    ("p99, one row, 32 connections", "at most 0.0667 times stock's"),
    ("requests/s of v2, one row, 32 connections", "at least 30 times stock's v2"),
    (
        "requests/s of the linear model of TF-IDF, one row, 32 connections",
        "at least 15 times stock's",
    ),
    ("p50, one row, 1 connection", "at most 1.7 times the ceiling's"),
    ("p50, 1,000 rows of JSON", "at most 0.625 times stock's"),
    ("p50, 1,000 rows of CSV", "at most 1.5 times that of JSON"),
    ("start to first 200", "at most 0.6 times stock's"),
    ("RSS after the run", "at most 0.8 times stock's"),
    (
        "p99 of one row beside batches of 5,000",
        "at most 1 times (3 times its quiet value + 10 ms)",
    ),
)


def cells(report: str) -> list[list[str]]:
    lines = [line for line in report.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


@pytest.mark.needs("wrk")
def test_a_short_run_reports_loads_and_marks_of_the_models_that_are_named(tmp_path: Path) -> None:
    out = tmp_path / "results.md"
    command = [sys.executable, "-m", "bench", "--quick", "--rounds", "1", "--out", str(out)]
    command += ["--models", BOOSTING, TEXTS]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert out.read_text() == done.stdout
    rows = cells(done.stdout)
    loads = {(row[0], row[1]) for row in rows if len(row) == 8}
    assert {(BOOSTING, load) for load in BOOSTING_LOADS} <= loads
    assert {(model, load) for model in (BOOSTING, TEXTS) for load in EVERY_LOAD} <= loads
    marks = {(row[0], row[1]): row[-1] for row in rows if len(row) == 5}
    assert set(MARKS) <= set(marks)
    assert len(marks) == len(MARKS) + 2, "and the table's own lines"
    assert all(marks[mark] in {"yes", "no"} for mark in MARKS)
    for fact in ("date", "CPU", "kernel", "Python", "libraries", "wrk"):
        assert f"- {fact}: " in done.stdout
    assert "- other processes took about " in done.stdout


@pytest.mark.parametrize(
    ("ratios", "least", "holds"),
    [
        ([1, 3, 9], True, True),
        ([1, 2, 9], True, False),
        ([9, 3, 1], False, True),
        ([9, 4, 1], False, False),
    ],
)
def test_a_mark_holds_by_the_median_of_its_rounds(
    ratios: list[float], *, least: bool, holds: bool
) -> None:
    key = Key("model", "server", "load", "figure")
    mark = Mark("mark", "", lambda figures: figures[key], bound=3, least=least)
    assert mark.holds([{key: ratio} for ratio in ratios]) is holds


@pytest.mark.parametrize("answer", ['{"predictions": [2.1]}', '{"error": "no"}', "[]", "no"])
def test_another_answer_than_the_estimators_is_refused(answer: str) -> None:
    model = Model("m", Path(), [[1.0]], np.array([2.0]), ("a",), Tolerance(absolute=0.01))
    model.check(json.dumps({"predictions": [2.001]}).encode())
    with pytest.raises(BenchError, match=r"where the estimator predicts 2\.0"):
        model.check(answer.encode())


class Refusal(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(404)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def refusing_url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Refusal) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.mark.needs("wrk")
def test_failed_requests_stop_it(refusing_url: str, tmp_path: Path) -> None:
    request = Request(refusing_url, b"{}", JSON)
    with pytest.raises(BenchError, match=r"^\d+ of \d+ requests failed$"):
        Wrk(tmp_path).run(request, connections=1, seconds=1)


@pytest.mark.needs("wrk")
def test_the_pages_are_measured(models: Path, tmp_path: Path) -> None:
    out = tmp_path / "page.md"
    out.write_text("<!-- pages -->\n<!-- end of pages -->\n")
    command = [sys.executable, "-m", "bench.pages", "--models", str(models), "--seconds", "1"]
    subprocess.run([*command, "--out", str(out)], cwd=ROOT, check=True)
    rows = cells(out.read_text())
    assert [row[0] for row in rows if row[0].startswith("/")] == [
        "/",
        "/models/rooms/answer?RM=6.5",
        "/models/rooms/answer?RM=6.5",
    ]
    assert all(float(row[2].replace(",", "")) > 0 for row in rows if row[0].startswith("/"))
