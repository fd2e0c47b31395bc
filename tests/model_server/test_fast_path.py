"""A body gets the same answer, to the byte, announced in its length or sent in chunks."""

import asyncio
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
import pytest
from prometheus_client.parser import text_string_to_metric_families

from harness.processes import ServerProcess
from model_server.inference.batching import Batcher
from model_server.inference.executor import Executor
from model_server.model import directory as model_directory
from model_server.model import loading, runtime
from model_server.model.columns import Matrix
from model_server.model.outputs import Answers
from tests.model_server.signatures import signature
from tests.model_server.test_predictions import TABLE

JSON, CSV = "application/json", "text/csv"
BODIES: list[tuple[str, bytes]] = [
    (JSON, b'{"instances": [[6.5]]}'),
    (JSON, b'{"instances": [[6.5], [7], [3.5e0]]}'),
    (JSON, b'{"instances": [{"RM": 6.5}], "signature_name": "x"}'),
    (JSON, b'{"instances": [[6.5]], "instances": [[7]]}'),
    (JSON, b' {"instances" :\n[[6.5]]} '),
    (JSON, b'{"instances": [[6], ["six"]]}'),
    (JSON, b'{"instances": [[6, 7]]}'),
    (JSON, b'{"instances": [[null]]}'),
    (JSON, b'{"instances": [[true]]}'),
    (JSON, b'{"instances": [[1e999]]}'),
    (JSON, b'{"instances": []}'),
    (JSON, b'{"instances": 6.5}'),
    (JSON, b'{"instances": [["\xc3\xa9"]]}'),
    (JSON, b'{"instances": [["\xff"]]}'),
    (JSON, b"[" * 5000),
    (JSON, b"{}"),
    (JSON, b""),
    (CSV, b"6.5\n"),
    (CSV, b"RM\r\n6.5\r\n7\r\n"),
    (CSV, b'"RM"\n"6.5"\n+7\n'),
    (CSV, b"6.5\nsix\n"),
    (CSV, b"6.5\n\n7\n"),
    (CSV, b"6.5],[7\n"),
    (CSV, b"1,2\n"),
    (CSV, b"nan\n"),
    (CSV, b""),
    ("text/plain", b"6.5"),
    ("application/json; charset=utf-16", b"{}"),
]
ACCEPTS = [None, "*/*", "text/csv", "text/csv;q=0.5, application/json", "image/png", "nonsense"]


def both(server: ServerProcess, model: str, body: bytes, headers: dict[str, str]) -> Iterator[Any]:
    for content in (body, iter([body])):
        answer = server.client.post(f"/v1/models/{model}:predict", content=content, headers=headers)
        yield answer.status_code, answer.content, sorted(shown(answer))


def shown(answer: httpx.Response) -> list[tuple[str, str]]:
    return [(name, value) for name, value in answer.headers.items() if name != "date"]


@pytest.mark.parametrize(("content_type", "body"), BODIES)
def test_the_same_answer(server: ServerProcess, content_type: str, body: bytes) -> None:
    for accept in ACCEPTS:
        headers = {"content-type": content_type, **({"accept": accept} if accept else {})}
        fast, kserves = both(server, "rooms", body, headers)
        assert fast == kserves


def test_the_same_answer_to_large_bodies(server: ServerProcess) -> None:
    lines = [",".join(row[name] for name in row if name not in {"B", "MEDV"}) for row in TABLE]
    body = "\n".join(lines * 20).encode()
    for accept in (JSON, CSV):
        fast, kserves = both(server, "boston", body, {"content-type": CSV, "accept": accept})
        assert fast == kserves
        assert fast[0] == 200


def test_the_same_answer_where_there_is_no_such_model(server: ServerProcess) -> None:
    fast, kserves = both(server, "nope", b'{"instances": [[6.5]]}', {"content-type": JSON})
    assert fast == kserves
    assert fast[0] == 404


@pytest.mark.parametrize("stage", ["preprocess", "predict", "postprocess"])
def test_both_are_counted_alike(server: ServerProcess, stage: str) -> None:
    def count() -> float:
        name = f'request_{stage}_seconds_count{{model_name="rooms"}} '
        lines = server.client.get("/metrics").text.splitlines()
        return float(next(line for line in lines if line.startswith(name)).removeprefix(name))

    before = count()
    list(both(server, "rooms", b'{"instances": [[6.5]]}', {"content-type": JSON}))
    assert count() == before + 2


def test_a_histogram_adds_up(server: ServerProcess) -> None:
    list(both(server, "rooms", b'{"instances": [[6.5]]}', {"content-type": JSON}))
    families = text_string_to_metric_families(server.client.get("/metrics").text)
    [family] = [one for one in families if one.name == "request_predict_seconds"]
    samples = [one for one in family.samples if one.labels.get("model_name") == "rooms"]
    buckets = [one.value for one in samples if one.name.endswith("_bucket")]
    [count] = [one.value for one in samples if one.name.endswith("_count")]
    [total_s] = [one.value for one in samples if one.name.endswith("_sum")]
    assert buckets == sorted(buckets)
    assert buckets[-1] == count >= 2
    assert 0 < total_s < count


@pytest.fixture(scope="module", params=["rooms", "boston"])
def loaded(request: pytest.FixtureRequest, models: Path) -> tuple[runtime.Runtime, Matrix]:
    read = model_directory.read(models / request.param)
    names = [feature.name for feature in read.manifest.features]
    X = np.array([[float(row[name]) for name in names] for row in TABLE])
    return loading.load(read), X


ONE = ("prediction",)


async def test_no_answer_changes_with_its_company(loaded: tuple[runtime.Runtime, Matrix]) -> None:
    runs, X = loaded
    batcher = Batcher(
        runs, signature(runs, X[:8]), Executor(queue_limit_s=60).start(), rows_limit=10**6
    )
    alone = [(await batcher.submit(X[[row]], ONE))["prediction"][0] for row in range(len(X))]
    rng = np.random.default_rng(0)
    for size in (2, 3, 17, 64, 200):
        rows = rng.choice(len(X), size)
        together = await asyncio.gather(*(batcher.submit(X[[row]], ONE) for row in rows))
        assert [each["prediction"][0] for each in together] == [alone[row] for row in rows]


def batching(runs: runtime.Runtime, X: Matrix) -> Batcher:
    executor = Executor(queue_limit_s=60).start()
    return Batcher(runs, signature(runs, X[:8]), executor, rows_limit=10**6)


def predicted(runs: runtime.Runtime, X: Matrix) -> npt.NDArray[Any]:
    return runs.answer(X, ONE)["prediction"]


class Counting(runtime.Runtime):
    """A runtime that counts its calls and fails at negative numbers."""

    name = "counting"
    concurrency = 1
    merges = True
    unpickles = False

    def __init__(self, runs: runtime.Runtime) -> None:
        self._runs = runs
        self.calls: list[int] = []

    def answer(self, X: Matrix, names: Sequence[str]) -> Answers:
        self.calls.append(len(X))
        if (X < 0).any():
            raise ValueError("negative")
        return self._runs.answer(X, names)


async def test_waiting_requests_share_a_call_and_a_bad_one_spoils_none(
    loaded: tuple[runtime.Runtime, Matrix],
) -> None:
    runs, X = loaded
    batcher = Batcher(
        runs, signature(runs, X[:8]), Executor(queue_limit_s=60).start(), rows_limit=10**6
    )
    counting = Counting(runs)
    batcher._runtime = counting
    await asyncio.gather(*(batcher.submit(X[i : i + 2], ONE) for i in range(5)))
    assert counting.calls == [10]
    counting.calls.clear()
    await asyncio.gather(*(batcher.submit(X[[row]], ONE) for row in range(100)))
    assert counting.calls == [64, 36], "no more rows are merged than were tried"
    bad = -np.ones_like(X[:1])
    answers = await asyncio.gather(
        *(batcher.submit(rows, ONE) for rows in (X[:1], bad, X[1:3])), return_exceptions=True
    )
    assert isinstance(answers[1], ValueError)
    for answer, rows in ((answers[0], X[:1]), (answers[2], X[1:3])):
        assert np.array_equal(answer["prediction"], predicted(runs, rows))  # type: ignore[index]


async def test_a_large_batch_leaves_the_event_loop(loaded: tuple[runtime.Runtime, Matrix]) -> None:
    runs, X = loaded
    batcher = Batcher(
        runs, signature(runs, X[:8]), Executor(queue_limit_s=60).start(), rows_limit=10**6
    )
    large = np.repeat(X, 200, axis=0)
    future = batcher.submit(large, ONE)
    turns = itertools.count()
    while not future.done():
        next(turns)
        await asyncio.sleep(0)
    assert next(turns) > 1, "the event loop went on turning while the batch was predicted"
    assert np.array_equal(future.result()["prediction"][:506], predicted(runs, large)[:506])


async def test_a_request_that_is_cancelled_leaves_the_others(
    loaded: tuple[runtime.Runtime, Matrix],
) -> None:
    runs, X = loaded
    batcher = Batcher(
        runs, signature(runs, X[:8]), Executor(queue_limit_s=60).start(), rows_limit=10**6
    )
    gone, stays = batcher.submit(X[:1], ONE), batcher.submit(X[1:2], ONE)
    gone.cancel()
    assert np.array_equal((await stays)["prediction"], predicted(runs, X[1:2]))
