"""A server that is told to stop loses no request, over REST and gRPC."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

from harness.processes import DEADLINE_S, ServerProcess, until
from tests.model_server import slow_model
from tests.model_server.raw_connection import GOOD, RawConnection, request

pytestmark = pytest.mark.slow

JSON = "application/json"


@contextlib.contextmanager
def draining(models: Path, log: Path, *flags: str) -> Iterator[ServerProcess]:
    """A server that was told to stop and answers on."""
    with ServerProcess(models, "--drain-delay-s", "3600", *flags, log=log) as server:
        yield server
        server.process.send_signal(signal.SIGTERM)


def begin(server: ServerProcess) -> None:
    server.process.send_signal(signal.SIGTERM)
    until("it drains", lambda: server.client.get("/v2/health/ready").status_code == 503)


def test_readiness_turns_at_once_and_liveness_stays(models: Path, tmp_path: Path) -> None:
    with (
        draining(models, tmp_path / "log") as server,
        grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel,
    ):
        stub = GRPCInferenceServiceStub(channel)
        assert stub.ServerReady(pb.ServerReadyRequest()).ready
        begin(server)
        for path in ("/v2/health/ready", "/v1/models/rooms", "/v2/models/rooms/ready"):
            assert server.client.get(path).status_code == 503
        assert server.client.get("/v2/health/live").status_code == 200
        assert not stub.ServerReady(pb.ServerReadyRequest()).ready
        assert not stub.ModelReady(pb.ModelReadyRequest(name="rooms")).ready
        assert stub.ServerLive(pb.ServerLiveRequest()).live


def test_while_it_drains_it_answers_and_closes_connections(models: Path, tmp_path: Path) -> None:
    with draining(models, tmp_path / "log") as server, RawConnection(server) as kept:
        kept.send(GOOD)
        before = kept.read()
        assert "connection" not in before[1]
        begin(server)
        kept.send(GOOD)
        after = kept.read()
        assert (after[0], after[2]) == (200, before[2])
        assert after[1]["connection"] == "close"
        assert kept.closed()
        fresh = server.predict("rooms", '{"instances": [[6.5]]}', JSON)
        assert (fresh.status_code, fresh.headers["connection"]) == (200, "close")
        text = server.client.get("/metrics").text
        assert 'model_server_requests_drained_total{when="late"}' in text


def test_a_second_signal_stops_it_at_once(models: Path, tmp_path: Path) -> None:
    with draining(models, tmp_path / "log") as server:
        begin(server)
        assert server.stop() == 0


def test_what_was_begun_is_answered_and_its_connection_closed(tmp_path: Path) -> None:
    """One request in a thread, one in the queue behind it, one half sent, one connection new."""
    slow_model.write(tmp_path / "models", slow_model.Sleeper())
    flags = ("--drain-delay-s", "0", "--queue-limit-ms", "100000")
    path = "/v1/models/slow:predict"
    whole, second = (request(f'{{"instances": [[{s}]]}}'.encode(), path) for s in (1.5, 0.1))
    with (
        ServerProcess(tmp_path / "models", *flags, log=tmp_path / "log") as server,
        contextlib.ExitStack() as stack,
    ):
        working = [stack.enter_context(RawConnection(server)) for _ in range(6)]
        for client in working:
            client.send(whole)
        half, fresh = (stack.enter_context(RawConnection(server)) for _ in range(2))
        half.send(second[:-5])
        in_flight = "model_server_requests_in_flight 6.0"
        until("they are in flight", lambda: in_flight in server.client.get("/metrics").text)
        server.process.send_signal(signal.SIGTERM)
        half.send(second[-5:])
        fresh.send(second)
        for client in (*working, half, fresh):
            status, headers, _ = client.read()
            assert (status, headers["connection"]) == (200, "close")
        assert server.process.wait(DEADLINE_S) == 0
    assert [one["message"] for one in server.records()] == ["serving", "stopping", "stopped"]


def test_idle_and_silent_connections_do_not_hold_it_up(models: Path, tmp_path: Path) -> None:
    flags = ("--drain-delay-s", "0", "--drain-timeout-s", "3600", "--header-timeout-s", "3600")
    with (
        ServerProcess(models, *flags, log=tmp_path / "log") as server,
        RawConnection(server) as idle,
        RawConnection(server) as silent,
    ):
        idle.send(GOOD)
        assert idle.read()[0] == 200
        assert server.stop() == 0
        assert idle.closed()
        assert silent.closed()


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_a_grpc_call_in_flight_is_answered(tmp_path: Path, sig: signal.Signals) -> None:
    slow_model.write(tmp_path / "models", slow_model.Sleeper())
    tensor = pb.ModelInferRequest.InferInputTensor(
        name="seconds",
        datatype="FP64",
        shape=[1, 1],
        contents=pb.InferTensorContents(fp64_contents=[1.0]),
    )
    ask = pb.ModelInferRequest(model_name="slow", inputs=[tensor])
    flags = ("--drain-delay-s", "0")
    with (
        ServerProcess(tmp_path / "models", *flags, log=tmp_path / "log") as server,
        grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel,
    ):
        answered = threading.Event()
        call = GRPCInferenceServiceStub(channel).ModelInfer.future(ask, timeout=DEADLINE_S)
        call.add_done_callback(lambda _: answered.set())
        in_flight = "model_server_requests_in_flight 1.0"
        until("it is in flight", lambda: in_flight in server.client.get("/metrics").text)
        assert not answered.is_set()
        assert server.stop(sig) == 0
        assert list(call.result().outputs[0].contents.fp64_contents) == [1.0]
