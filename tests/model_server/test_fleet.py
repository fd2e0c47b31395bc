"""Several processes that serve on the same ports are, from outside, one server."""

import asyncio
import contextlib
import gc
import os
import pickle
import signal
import socket
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx
import psutil
import pytest
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub
from prometheus_client import CollectorRegistry, Counter, Gauge, Metric

from harness.load import Load
from harness.ports import HOST
from harness.processes import ServerProcess, refuse, serve, until
from model_server import errors, memory, processors
from model_server.fleet.metrics import MergedMetrics
from tests.fresh_client import FreshClient
from tests.model_server import bare_model, slow_model, small_models
from tests.model_server.counted import metric
from tests.model_server.raw_connection import GOOD

LOST = "model_server_workers_lost_total"
REPLACED = "ended by SIGKILL: what it was at has no answer; another takes its place"
ONE = {"instances": [[6.5]]}


@contextlib.contextmanager
def fleet(models: Path, tmp_path: Path, *flags: str, workers: int = 2) -> Iterator[ServerProcess]:
    flags = ("--workers", str(workers), *flags)
    with ServerProcess(models, *flags, log=tmp_path / "log") as server:
        server.client.headers["connection"] = "close"  # one that is kept is one worker's
        yield server


def children(server: ServerProcess) -> list[psutil.Process]:
    """Return the workers; what the server has started beside them is of another group."""
    group = os.getpgid(server.process.pid)
    started = psutil.Process(server.process.pid).children()
    return [child for child in started if os.getpgid(child.pid) == group]


def statuses(server: ServerProcess, model: str, n_connections: int = 24) -> set[int]:
    """Return what is answered on so many connections: none of 3 workers gets none but once in
    10,000 times."""
    url = f"{server.url}/v1/models/{model}:predict"
    return {httpx.post(url, json=ONE).status_code for _ in range(n_connections)}


@pytest.mark.slow
class TestServing:
    def test_what_is_told_of_all_is_told_of_one(self, models: Path, tmp_path: Path) -> None:
        with fleet(models, tmp_path, "--health-port", "0", workers=3) as server:
            assert statuses(server, "rooms", 30) == {200}
            answered = 'request_predict_seconds_count{model_name="rooms"}'
            assert metric(server, answered) == 30
            assert metric(server, "model_server_workers") == len(children(server)) == 3
            assert metric(server, LOST) == 0
            limit_bytes = metric(server, "model_server_memory_bytes_limit")
            assert 0 < limit_bytes < memory.there_is_bytes()
            health = httpx.get(f"http://{HOST}:{server.health_port}/metrics").text
            assert f"{answered} 30.0" in health
            [serving] = [each for each in server.records() if each["message"] == "serving"]
            assert serving["workers"] == 3

    def test_grpc_is_served_by_each(self, models: Path, tmp_path: Path) -> None:
        message = pb.ModelInferRequest(model_name="rooms")
        tensor = message.inputs.add(name="RM", datatype="FP64", shape=[1])
        tensor.contents.fp64_contents.append(6.5)
        with fleet(models, tmp_path) as server:
            for _ in range(16):
                own = [("grpc.use_local_subchannel_pool", 1)]
                with grpc.insecure_channel(f"{HOST}:{server.grpc_port}", own) as channel:
                    answer = GRPCInferenceServiceStub(channel).ModelInfer(message, timeout=30)
                    assert answer.outputs[0].shape == [1]
            assert metric(server, 'request_predict_seconds_count{model_name="rooms"}') == 16

    def test_models_are_unloaded_and_loaded_in_each(self, own_models: Path, tmp_path: Path) -> None:
        with fleet(own_models, tmp_path, "--repository-api", workers=3) as server:
            post = server.client.post
            assert post("/v2/repository/models/rooms/unload").status_code == 200
            assert statuses(server, "rooms") == {404}
            children(server)[0].kill()
            until("another is there", lambda: metric(server, "model_server_workers") == 3)
            assert statuses(server, "rooms") == {404}
            assert post("/v2/repository/models/rooms/unload").status_code == 404
            with grpc.insecure_channel(f"{HOST}:{server.grpc_port}") as channel:
                stub = GRPCInferenceServiceStub(channel)
                stub.RepositoryModelLoad(pb.RepositoryModelLoadRequest(model_name="rooms"))
            assert statuses(server, "rooms") == {200}
            (own_models / "rooms" / "model.onnx").write_bytes(b"damaged")
            assert post("/v2/repository/models/rooms/load").status_code == 503
            assert statuses(server, "rooms") == {200}

    def test_an_estimator_is_loaded_once(self, tmp_path: Path) -> None:
        slow_model.write(tmp_path / "models", slow_model.Sleeper())
        with fleet(tmp_path / "models", tmp_path) as server:
            url = f"{server.url}/v1/models/slow:predict"
            answers = []

            def ask(number: int) -> None:
                answer = httpx.post(url, json={"instances": [[0.001 * number]]}, timeout=30)
                answers.append((number, answer.json()))

            asking = [threading.Thread(target=ask, args=(number,)) for number in range(24)]
            for thread in asking:
                thread.start()
            for thread in asking:
                thread.join()
            for number, answer in answers:
                assert answer == {"predictions": [0.001 * number]} or "queue" in answer["error"]
            assert sum("predictions" in answer for _, answer in answers) > 1
            [zygote] = [
                child
                for child in psutil.Process(server.process.pid).children()
                if child not in children(server)
            ]
            [keeper] = zygote.children()
            assert 1 <= len(keeper.children()) <= 2, "one for each process that was asked"


@pytest.mark.slow
class TestLosses:
    def test_who_waits_for_a_worker_that_ends_is_answered_by_the_next(
        self, models: Path, tmp_path: Path
    ) -> None:
        with fleet(models, tmp_path) as server:
            stopped = children(server)[0]
            stopped.suspend()
            waiting = [socket.create_connection((HOST, server.http_port)) for _ in range(16)]
            for each in waiting:
                each.settimeout(30)
                each.sendall(GOOD)
            stopped.kill()
            for each in waiting:
                assert each.recv(12) == b"HTTP/1.1 200"
                each.close()
            until("it is told", lambda: metric(server, LOST) == 1)
            until("another is there", lambda: metric(server, "model_server_workers") == 2)
            told = [each["message"] for each in server.records() if each["level"] == "ERROR"]
            assert told == [f"worker {stopped.pid} {REPLACED}"]

    async def test_the_others_go_on(self, models: Path, tmp_path: Path) -> None:
        async with serve(models, "--workers", "3", log=tmp_path / "log") as server:
            load = Load(server.http_port, GOOD)
            pressing = asyncio.create_task(load.press(12, seconds=4))
            for _ in range(2):
                await asyncio.to_thread(
                    until, "requests are answered", lambda: len(load.latencies_s) > 50
                )
                children(server)[-1].kill()
            await pressing
            load.close()
        assert len(load.wrong) <= 2 * 12, "at most what was in flight at each time"
        assert len(load.latencies_s) > 100

    def test_metrics_leave_out_who_does_not_answer(self, models: Path, tmp_path: Path) -> None:
        with fleet(models, tmp_path, "--health-port", "0", workers=3) as server:
            stopped = children(server)[0]
            stopped.suspend()
            try:
                scraped = set()
                for _ in range(12):
                    with contextlib.suppress(httpx.TimeoutException):
                        url = f"http://{HOST}:{server.health_port}/metrics"
                        text = httpx.get(url, timeout=10).text
                        scraped |= {line for line in text.splitlines() if line.endswith(" 2.0")}
                        if "model_server_workers 2.0" in scraped:
                            break
            finally:
                stopped.resume()
            assert "model_server_workers 2.0" in scraped


@pytest.mark.slow
class TestStops:
    @pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
    def test_no_request_is_lost(self, models: Path, tmp_path: Path, sig: signal.Signals) -> None:
        with fleet(models, tmp_path) as server:
            clients = [FreshClient(server.http_port, "/v2/health/live") for _ in range(4)]
            for each in clients:
                each.start()
            until("they are answered", lambda: all(each.answered > 5 for each in clients))
            os.kill(server.process.pid, sig)
            assert server.process.wait(30) == 0
            for each in clients:
                each.join(30)
        assert {each.ended for each in clients} == {ConnectionRefusedError}
        assert not [each for each in server.records() if each["level"] != "INFO"]

    @pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
    def test_one_to_the_whole_group_counts_once(
        self, models: Path, tmp_path: Path, sig: signal.Signals
    ) -> None:
        """As a terminal sends it, or a manager of services."""
        with fleet(models, tmp_path) as server:
            for process in (psutil.Process(server.process.pid), *children(server)):
                process.send_signal(sig)
            assert server.process.wait(30) == 0
        messages = [each["message"] for each in server.records()]
        assert "stopping at once, at a second signal" not in messages

    def test_one_to_a_worker_alone_is_none(self, models: Path, tmp_path: Path) -> None:
        with fleet(models, tmp_path) as server:
            for process in children(server):
                process.send_signal(signal.SIGTERM)
            assert statuses(server, "rooms") == {200}
            assert metric(server, LOST) == 0

    def test_workers_end_with_their_supervisor(self, models: Path, tmp_path: Path) -> None:
        with fleet(models, tmp_path) as server:
            workers = children(server)
            server.kill()
            assert not psutil.wait_procs(workers, timeout=30)[1]
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection((HOST, server.http_port))


@pytest.mark.slow
class TestStarts:
    def test_a_port_that_is_taken_is_told(self, models: Path) -> None:
        with socket.create_server((HOST, 0)) as taken:
            port = taken.getsockname()[1]
            told = refuse(models, "--workers", "2", "--no-grpc", "--http-port", str(port))
        assert told.startswith(f"port {port} can't be listened on (Address already in use)")

    def test_another_fleet_s_port_is_taken_too(self, models: Path, tmp_path: Path) -> None:
        with fleet(models, tmp_path) as server:
            flags = ("--workers", "2", "--no-grpc", "--http-port", str(server.http_port))
            assert "can't be listened on" in refuse(models, *flags)

    def test_a_broken_model_is_told_once(self, tmp_path: Path) -> None:
        bare_model.write(tmp_path / "line", bare_model.line(), features='["RM", "RM"]')
        told = refuse(tmp_path, "--workers", "2", "--http-port", "0", "--no-grpc")
        assert "is no list of different names" in told


async def test_a_model_that_was_there_at_the_fork_is_freed(tmp_path: Path) -> None:
    """Though the collector leaves alone what is shared."""
    repository = small_models.opened(tmp_path, rows_limit=10)
    served = repository.served["numbers"]
    served._row_bytes(("prediction",), 8)
    gone = weakref.ref(served)
    del served
    gc.freeze()
    try:
        repository.unload("numbers")
        assert gone() is None
    finally:
        gc.unfreeze()


@pytest.mark.parametrize(
    "error",
    [
        errors.BadRequest("row 1: six", row=1, feature="RM"),
        errors.Overloaded("queue", 7),
        errors.Overran(30),
        errors.MethodNotAllowed("CONNECT: no", "GET"),
        errors.ModelNotFound("Model with name x does not exist."),
        errors.Unexpected(ValueError("x")),
    ],
)
def test_an_error_goes_from_one_process_to_another(error: errors.RequestError) -> None:
    made = pickle.loads(pickle.dumps(error))
    assert (type(made), str(made), made.headers) == (type(error), str(error), error.headers)
    assert made.members == error.members


class TestMetrics:
    def told(self, requests: float, since_s: float, lost: float) -> list[Metric]:
        registry = CollectorRegistry()
        Counter("asked", "Requests", ["by"], registry=registry).labels("one").inc(requests)
        Gauge("process_start_time_seconds", "Start", registry=registry).set(since_s)
        Counter("model_server_workers_lost", "Lost", registry=registry).inc(lost)
        return list(registry.collect())

    def test_sums_where_a_sum_has_a_meaning(self) -> None:
        merged = MergedMetrics([self.told(2, 50, 0), self.told(3, 40, 1)]).collect()
        samples = {sample.name: sample.value for family in merged for sample in family.samples}
        assert samples["asked_total"] == 5
        assert samples["process_start_time_seconds"] == 40
        assert samples["model_server_workers_lost_total"] == 1


class TestProcessors:
    @pytest.mark.parametrize(
        ("file", "text", "expected"),
        [
            ("cpu.max", "100000 100000", 1),
            ("cpu.max", "10000 100000", 1),
            ("cpu.max", "max 100000", None),
            ("cpu/cpu.cfs_quota_us", "50000", 1),
            ("cpu/cpu.cfs_quota_us", "-1", None),
        ],
    )
    def test_a_container_s_quota_counts(
        self, tmp_path: Path, file: str, text: str, expected: int | None
    ) -> None:
        folder = tmp_path / "sys/fs/cgroup"
        (folder / "cpu").mkdir(parents=True)
        (folder / "cpu/cpu.cfs_period_us").write_text("100000")
        (folder / file).write_text(text + "\n")
        assert processors.there_are(tmp_path) == (expected or len(os.sched_getaffinity(0)))
