"""A round: every server once, and what was measured of it."""

import os
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from bench import cpus, servers
from bench.models import (
    BOOSTING,
    COLUMNS,
    CSV,
    FOREST,
    HISTOGRAM,
    JSON,
    LINEAR,
    TEXTS,
    Model,
)
from bench.servers import CEILING, OURS, STOCK, Running
from bench.wrk import Load, Request, Wrk

RATE = "requests/s"
P50 = "p50 [ms]"
P99 = "p99 [ms]"
START = "start to first 200 [s]"
RSS = "RSS after the run [MB]"

ONE_ROW_1 = "one row, 1 connection"
ONE_ROW_32 = "one row, 32 connections"
V2_ROW_32 = "one row of v2, 32 connections"
ROWS_JSON = "1,000 rows of JSON, 1 connection"
ROWS_CSV = "1,000 rows of CSV, 1 connection"
QUIET = "one row, 4 connections"
BESIDE = "the same, beside batches of 5,000 rows"
PROCESS = "process"


class Key(NamedTuple):
    """What a figure is of."""

    model: str
    server: str
    load: str
    figure: str


Figures = dict[Key, float]


@dataclass(frozen=True)
class Traffic:
    """One load, and which figures are taken of it."""

    rows: int = 1
    connections: int = 1
    media_type: str = JSON
    is_v2: bool = False
    batch_rows: int = 0
    figures: tuple[str, ...] = (RATE, P50, P99)


TRAFFIC = {
    ONE_ROW_1: Traffic(),
    ONE_ROW_32: Traffic(connections=32),
    V2_ROW_32: Traffic(connections=32, is_v2=True),
    ROWS_JSON: Traffic(rows=1000, figures=(P50,)),
    ROWS_CSV: Traffic(rows=1000, media_type=CSV, figures=(P50,)),
    QUIET: Traffic(connections=4, figures=(P99,)),
    BESIDE: Traffic(connections=4, batch_rows=5000, figures=(P99,)),
}

PLAN = (
    (BOOSTING, OURS, (ONE_ROW_1, ONE_ROW_32, V2_ROW_32, ROWS_JSON, ROWS_CSV, QUIET, BESIDE)),
    (BOOSTING, CEILING, (ONE_ROW_1, ONE_ROW_32)),
    (BOOSTING, STOCK, (ONE_ROW_1, ONE_ROW_32, V2_ROW_32, ROWS_JSON)),
    (FOREST, OURS, (ONE_ROW_32,)),
    (FOREST, STOCK, (ONE_ROW_32,)),
    (LINEAR, OURS, (ONE_ROW_32,)),
    (LINEAR, STOCK, (ONE_ROW_32,)),
    (HISTOGRAM, OURS, (ONE_ROW_32,)),
    (HISTOGRAM, STOCK, (ONE_ROW_32,)),
    (COLUMNS, OURS, (ONE_ROW_32,)),
    (COLUMNS, STOCK, (ONE_ROW_32,)),
    (TEXTS, OURS, (ONE_ROW_32,)),
    (TEXTS, STOCK, (ONE_ROW_32,)),
)
"""This server comes first: the ceiling answers with as many bytes as it did."""


class Bench:
    """What rounds are run with. The calling process moves to the CPU of the load.

    Parameters
    ----------
    folder : Path
        For scripts and logs.
    seconds, warm_up_seconds : int
        How long each load is measured, and run before anything is measured.
    titles : collection of str, optional
        Of the models that are served; of all by default.

    Raises
    ------
    BenchError
        If wrk is missing, or there is no CPU for the servers beside one for the load.
    """

    def __init__(
        self,
        folder: Path,
        seconds: int,
        warm_up_seconds: int,
        titles: Collection[str] = (),
    ) -> None:
        self._folder = folder
        self._seconds = seconds
        self._warm_up_seconds = warm_up_seconds
        self._plan = [each for each in PLAN if not titles or each[0] in titles]
        self._wrk = Wrk(folder)
        self._cpu, *_, load_cpu = cpus.usable()
        os.sched_setaffinity(0, {load_cpu})

    def round(self, models: dict[str, Model], tell: Callable[[str], None]) -> Figures:
        """Start, measure and end every server of the plan, in its order.

        Parameters
        ----------
        models : dict of str to Model
            By title.
        tell : callable
            Called with a line of progress.

        Raises
        ------
        BenchError
            If a server does not start, answers wrongly or fails a request.
        """
        figures: Figures = {}
        length = 0
        for title, server, loads in self._plan:
            model = models[title]
            tell(f"{title}, {server}: starting and warming up")
            with servers.start(server, model, self._cpu, self._folder, length) as running:
                length = len(running.answer)
                if self._warm_up_seconds:
                    self._wrk.run(_request(running, model, 1, JSON), 32, self._warm_up_seconds)
                for name in loads:
                    load = self._measure(running, model, TRAFFIC[name])
                    tell(f"{title}, {server}: {name}: {load}")
                    taken = {RATE: load.requests_per_s, P50: load.p50_ms, P99: load.p99_ms}
                    for figure in TRAFFIC[name].figures:
                        figures[Key(title, server, name, figure)] = taken[figure]
                figures[Key(title, server, PROCESS, START)] = running.start_s
                figures[Key(title, server, PROCESS, RSS)] = running.process.rss_mb
        return figures

    def _measure(self, running: Running, model: Model, traffic: Traffic) -> Load:
        request = _request(running, model, traffic.rows, traffic.media_type)
        if traffic.is_v2:
            request = Request(running.infer_url, model.infer_body(traffic.rows), JSON)
        if not traffic.batch_rows:
            return self._wrk.run(request, traffic.connections, self._seconds)
        batch = _request(running, model, traffic.batch_rows, JSON)
        with self._wrk.beside(batch, 2 * self._seconds):
            return self._wrk.run(request, traffic.connections, self._seconds)


def _request(running: Running, model: Model, rows: int, media_type: str) -> Request:
    body = model.stock_body(rows) if running.is_stock else model.body(rows, media_type)
    return Request(running.url, body, media_type)
