"""Overload: four times what a server can do, and more small requests than it is built for.

The model is a forest that scikit-learn itself predicts, some ten milliseconds a row in the thread
pool, so that the clients on the same machine are not what is measured. The many small requests are
one row each of a graph; how fast they come is bounded by the clients' share of the machine, so that
their latency is told and not judged.
"""

import asyncio
import json
import logging
import os
import re
import statistics
import time
from pathlib import Path

from sklearn.ensemble import RandomForestRegressor

from harness.http_client import ask_once, get, post
from harness.load import Load, percentile_ms
from harness.ports import HOST
from harness.processes import ServerProcess, serve
from model_server.model import directory as model_directory
from soak.scenario import Outcome, some
from training import boston
from training.package import package

log = logging.getLogger("soak")

_TIMES = 4
_LIMIT_MS = 250
_RECOVERY_S = 1.0
_GROWTH = 1.1
_DEADLINE_S = 30.0
_TREES = 100
_ROW = [0.25, 0, 5.1, 0, 0.5, 6.2, 60, 3.8, 4, 300, 18, 11]
_FOREST = post("/v1/models/forest:predict", json.dumps({"instances": [_ROW]}).encode())
_ROOMS = post("/v1/models/rooms:predict", b'{"instances": [[6.5]]}')
_REJECTED = re.compile(rb"^model_server_requests_rejected_total\{.*\} (\S+)$", re.MULTILINE)


def run(
    models: Path,
    folder: Path,
    *,
    seconds: float = 60,
    capacity_seconds: float = 5,
    connections: int = 800,
    judge_timings: bool = True,
) -> Outcome:
    """Measure what a server can do, and offer it four times that.

    Parameters
    ----------
    models : Path
        Trained model directories, ``rooms`` among them.
    folder : Path
        For the slow model and the servers' logs.
    seconds : float
        How long the overload is.
    capacity_seconds : float
        How long the capacity is measured, and how long small requests are sent.
    connections : int
        That small requests are sent on.
    judge_timings : bool
        Whether latencies decide, too.
    """
    asked = (
        f"{_TIMES} times capacity for {seconds:g} s: every request answered with 200 or 503, p99 "
        f"of admitted ones under {_LIMIT_MS} ms, memory flat, normal within {_RECOVERY_S:g} s after"
    )
    _write_forest(folder / "slow")
    slow = asyncio.run(_overload(folder, seconds, capacity_seconds, judge_timings=judge_timings))
    small = asyncio.run(_press(models, folder, capacity_seconds, connections))
    return Outcome(asked, f"{slow.seen}; {small.seen}", slow.held and small.held)


async def _overload(
    folder: Path, seconds: float, capacity_seconds: float, *, judge_timings: bool
) -> Outcome:
    async with serve(folder / "slow", log=folder / "overload.log") as server:
        normal_ms = await _normal_ms(server)
        capacity = await _capacity(server, capacity_seconds)
        log.info("overload: capacity %.0f/s, alone %.1f ms", capacity, normal_ms)
        load, after = (Load(server.http_port, _FOREST) for _ in range(2))
        sizes_mb, counted_before = [server.rss_mb], await _counted_rejections(server)
        asyncio.get_running_loop().call_later(seconds / 4, lambda: sizes_mb.append(server.rss_mb))
        begun = time.perf_counter()
        await load.offer(_TIMES * capacity, seconds)
        await _ask_until_normal(after, 2 * normal_ms)
        recovery_s = time.perf_counter() - begun - seconds
        sizes_mb.append(server.rss_mb)
        for ended in (load, after):
            ended.close()
        counted = await _counted_rejections(server) - counted_before
    rejected, wrong = load.rejected + after.rejected, load.wrong + after.wrong
    p50_ms, p99_ms = (percentile_ms(load.latencies_s, percent) for percent in (50, 99))
    before_mb, early_mb, late_mb = sizes_mb
    seen = (
        f"capacity {capacity:.0f}/s, offered {load.sent / seconds:.0f}/s, admitted "
        f"{len(load.latencies_s) / seconds:.0f}/s (p50 {p50_ms:.0f} ms, p99 {p99_ms:.0f} ms), "
        f"rejected {rejected:,} ({counted:,} by the metrics), otherwise {some(wrong)}; "
        f"{before_mb:.0f} MB before, {early_mb:.0f} MB after a quarter, {late_mb:.0f} MB at the "
        f"end; normal {recovery_s:.2f} s after ({normal_ms:.0f} ms alone)"
    )
    held = not wrong and 0 < rejected == counted and late_mb < _GROWTH * early_mb
    in_time = p99_ms < _LIMIT_MS and recovery_s < _RECOVERY_S
    return Outcome("", seen, held and (in_time or not judge_timings))


async def _press(models: Path, folder: Path, seconds: float, connections: int) -> Outcome:
    async with serve(models, log=folder / "press.log") as server:
        load = Load(server.http_port, _ROOMS)
        await load.press(connections, seconds)
        load.close()
    p50_ms, p99_ms = (percentile_ms(load.latencies_s, percent) for percent in (50, 99))
    seen = (
        f"small requests on {connections} connections: {len(load.latencies_s) / seconds:,.0f}/s "
        f"(p50 {p50_ms:.0f} ms, p99 {p99_ms:.0f} ms), rejected {load.rejected:,}, "
        f"otherwise {some(load.wrong)}"
    )
    return Outcome("", seen, not load.wrong)


async def _normal_ms(server: ServerProcess) -> float:
    """Return the median latency of single requests."""
    load = Load(server.http_port, _FOREST)
    for _ in range(20):
        await load.ask()
    load.close()
    return 1000 * statistics.median(load.latencies_s)


async def _capacity(server: ServerProcess, seconds: float) -> float:
    """Return how many requests a second are answered to as many clients as there are CPUs."""
    load = Load(server.http_port, _FOREST)
    await load.press(os.cpu_count() or 1, seconds)
    load.close()
    return len(load.latencies_s) / seconds


async def _ask_until_normal(load: Load, limit_ms: float) -> None:
    """Ask one by one until an answer is as fast as that, or half a minute is over."""
    deadline = time.perf_counter() + _DEADLINE_S
    while time.perf_counter() < deadline:
        await load.ask()
        if load.latencies_s and 1000 * load.latencies_s[-1] <= limit_ms:
            return


async def _counted_rejections(server: ServerProcess) -> int:
    metrics = await ask_once(HOST, server.http_port, get("/metrics"))
    return int(sum(map(float, _REJECTED.findall(metrics.body))))


def _write_forest(models: Path) -> None:
    """Package a forest without its graph."""
    dataset = next(dataset for dataset, card in boston.models() if card.name == "boston")
    forest = RandomForestRegressor(_TREES, random_state=0).fit(dataset.inputs, dataset.y)
    packaged = package(forest, dataset, "forest")
    files = {
        file: content for file, content in packaged.files.items() if file != model_directory.ONNX
    }
    model_directory.write(models / "forest", packaged.manifest, files)
