"""What connections, calls and messages of gRPC may take: nothing that others need."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

from harness.certificates import Authority
from harness.ports import HOST
from harness.processes import DEADLINE_S, ServerProcess, until
from tests.model_server import raw_http2
from tests.model_server.counted import metric, rejected
from tests.model_server.raw_connection import RawConnection
from tests.model_server.raw_http2 import RawHttp2

pytestmark = pytest.mark.slow

INFER = "/inference.GRPCInferenceService/ModelInfer"
GOOD = '{"instances": [[6.5]]}'


def request(n_rows: int = 1) -> pb.ModelInferRequest:
    contents = pb.InferTensorContents(fp64_contents=[6.5] * n_rows)
    tensor = pb.ModelInferRequest.InferInputTensor(
        name="RM", datatype="FP64", shape=[n_rows, 1], contents=contents
    )
    return pb.ModelInferRequest(model_name="rooms", inputs=[tensor])


def infer(server: ServerProcess) -> float:
    """Predict by gRPC, on a connection of its own that takes up where there is a place for it."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(f"{HOST}:{server.grpc_port}", options) as channel:
        answer = GRPCInferenceServiceStub(channel).ModelInfer(
            request(), timeout=DEADLINE_S, wait_for_ready=True
        )
    return float(answer.outputs[0].contents.fp64_contents[0])


def files(server: ServerProcess) -> int:
    return len(list(Path(f"/proc/{server.process.pid}/fd").iterdir()))


class Stalled:
    """Calls of one client that begin, and whose message never comes, while the block runs."""

    def __init__(self, server: ServerProcess, n_calls: int, token: str = "") -> None:
        self._never = threading.Event()
        self._channel = grpc.insecure_channel(f"{HOST}:{server.grpc_port}")
        ask = self._channel.stream_unary(INFER)
        metadata = [("authorization", f"Bearer {token}")] if token else None
        self.calls = [
            ask.future(self._messages(), timeout=DEADLINE_S, metadata=metadata)
            for _ in range(n_calls)
        ]

    def __enter__(self) -> "Stalled":
        return self

    def __exit__(self, *_: object) -> None:
        self._never.set()
        self._channel.close()

    def _messages(self) -> Iterator[bytes]:
        self._never.wait()
        yield from ()


@contextlib.contextmanager
def connections(port: int, number: int, sent: bytes = b"") -> Iterator[list[socket.socket]]:
    with contextlib.ExitStack() as all_:
        opened = []
        for _ in range(number):
            connection = all_.enter_context(socket.create_connection((HOST, port), DEADLINE_S))
            with contextlib.suppress(OSError):
                connection.sendall(sent)
            opened.append(connection)
        yield opened


@pytest.mark.parametrize("sent", [b"", raw_http2.OPENING], ids=["silent", "HTTP/2"])
def test_connections_take_none_of_https_files(models: Path, tmp_path: Path, sent: bytes) -> None:
    with ServerProcess(models, "--connections-limit", "40", log=tmp_path / "log") as server:
        assert infer(server) > 0
        before = files(server)
        with connections(server.grpc_port, 200, sent):
            until("most are closed", lambda: files(server) <= before + 10 + 2)
            assert server.predict("rooms", GOOD, "application/json").status_code == 200
            assert server.client.get("/v2/health/live").status_code == 200
        assert infer(server) > 0


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "TLS"])
def test_a_handshake_that_never_ends_is_given_up(
    models: Path, tmp_path: Path, *, encrypted: bool
) -> None:
    flags = ["--header-timeout-s", "1"]
    authority = None
    if encrypted:
        authority = Authority(tmp_path)
        certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
        authority.sign(certificate, key)
        flags += ["--ssl-certfile", str(certificate), "--ssl-keyfile", str(key)]
    with (
        ServerProcess(
            models,
            *flags,
            log=tmp_path / "log",
            authority=None if authority is None else authority.path,
        ) as server,
        RawConnection(server, server.grpc_port) as silent,
    ):
        silent.send(b"\x16\x03\x01" if encrypted else raw_http2.PREFACE[:10])
        silent.closed()


@pytest.fixture(scope="module")
def guarded(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "tokens").write_text("first\nsecond\n")
    flags = ("--token-file", str(folder / "tokens"))
    with ServerProcess(models, *flags, log=folder / "log") as server:
        yield server


@pytest.mark.parametrize("token", ["", "third"])
def test_no_message_is_waited_for_without_a_token(guarded: ServerProcess, token: str) -> None:
    with Stalled(guarded, 8, token) as stalled:
        codes = [call.code() for call in stalled.calls]
    assert codes == [grpc.StatusCode.UNAUTHENTICATED] * 8


@pytest.mark.parametrize("tokens", [("first", "third"), ("third", "first"), ("first", "first")])
def test_two_tokens_are_refused(guarded: ServerProcess, tokens: tuple[str, str]) -> None:
    metadata = [("authorization", f"Bearer {token}") for token in tokens]
    with (
        grpc.insecure_channel(f"{HOST}:{guarded.grpc_port}") as channel,
        pytest.raises(grpc.RpcError) as refused,
    ):
        GRPCInferenceServiceStub(channel).ModelInfer(request(), metadata=metadata)
    assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED
    answer = guarded.client.post(
        "/v1/models/rooms:predict",
        content=GOOD,
        headers=[*metadata, ("content-type", "application/json")],
    )
    assert answer.status_code == 401


def test_calls_without_a_message_keep_none_out(models: Path, tmp_path: Path) -> None:
    """Room for two messages: of the calls that wait for it, those that stall lose theirs."""
    flags = ("--body-limit-bytes", "1000", "--bytes-limit", "8000")
    with ServerProcess(models, *flags, log=tmp_path / "log") as server, Stalled(server, 20) as one:
        until("they wait", lambda: rejected(server, "bytes") > 0)
        assert infer(server) > 0
        ended = next(call for call in one.calls if call.done())
        assert ended.code() == grpc.StatusCode.UNAVAILABLE
        assert ended.details().startswith("too much to do (bytes)")
        with ThreadPoolExecutor(32) as clients:
            assert all(clients.map(lambda _: infer(server) > 0, range(64)))


def test_a_message_that_does_not_come_is_given_up(models: Path, tmp_path: Path) -> None:
    with (
        ServerProcess(models, "--body-timeout-s", "1", log=tmp_path / "log") as server,
        Stalled(server, 1) as stalled,
    ):
        assert stalled.calls[0].code() == grpc.StatusCode.DEADLINE_EXCEEDED
        assert stalled.calls[0].details() == "no whole request in 1 s"


def test_an_answer_that_nobody_reads_ends_its_connection(models: Path, tmp_path: Path) -> None:
    whole = raw_http2.message(request(500).SerializeToString())
    with (
        ServerProcess(models, "--body-timeout-s", "1", log=tmp_path / "log") as server,
        RawHttp2(server.grpc_port, window_bytes=0) as deaf,
    ):
        deaf.data(deaf.call("ModelInfer"), whole, raw_http2.END_STREAM)
        until("it is held", lambda: metric(server, "model_server_memory_bytes_in_flight") > 0)
        assert deaf.closed()
        assert rejected(server, "read_timeout") == 1
        until(
            "its room is free", lambda: metric(server, "model_server_memory_bytes_in_flight") == 0
        )
        assert infer(server) > 0


def test_a_connection_has_a_hundred_calls_and_a_small_window(server: ServerProcess) -> None:
    """Core's window grows after a ping of its own, and then whoever stalls fills it."""
    with RawHttp2(server.grpc_port) as client:
        assert client.settings()[raw_http2.MAX_CONCURRENT_STREAMS] == 100
        client.data(client.call("ModelInfer"), raw_http2.message(b"x" * 60_000)[:-1])
        client.send(raw_http2.frame(raw_http2.PING, 0, 0, b"our ping"))
        pings = (frame for frame in client.frames() if frame.kind == raw_http2.PING)
        assert next(pings).payload == b"our ping"


@pytest.mark.parametrize(
    ("messages", "details"),
    [([], "the call has no message"), ([b"\xff"], "the message is not what its call takes")],
)
def test_what_is_no_message_is_the_clients_fault(
    server: ServerProcess, messages: list[bytes], details: str
) -> None:
    with (
        grpc.insecure_channel(f"{HOST}:{server.grpc_port}") as channel,
        pytest.raises(grpc.RpcError) as refused,
    ):
        channel.stream_unary(INFER)(iter(messages), timeout=DEADLINE_S)
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert refused.value.details() == details
