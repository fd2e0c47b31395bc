"""TLS, tokens, and the routes that are closed unless asked for; over REST and gRPC."""

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx
import pytest
from cryptography import x509
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

from harness.certificates import Authority
from harness.processes import DEADLINE_S, ServerProcess, refuse, until
from model_server.http.file_watch import FileWatch

GOOD = '{"instances": [[6.5]]}'


def infer(server: ServerProcess, channel: grpc.Channel, token: str = "") -> float:
    tensor = pb.ModelInferRequest.InferInputTensor(
        name="input-0",
        datatype="FP64",
        shape=[1, 1],
        contents=pb.InferTensorContents(fp64_contents=[6.5]),
    )
    answer = GRPCInferenceServiceStub(channel).ModelInfer(
        pb.ModelInferRequest(model_name="rooms", inputs=[tensor]),
        metadata=[("authorization", f"Bearer {token}")] if token else None,
        timeout=DEADLINE_S,
    )
    return float(answer.outputs[0].contents.fp64_contents[0])


def replace(path: Path, text: str) -> None:
    """Change a file as Kubernetes changes a mounted Secret: at once."""
    side = path.with_suffix(".new")
    side.write_text(text)
    side.replace(path)


def serial_number(port: int, authority: Authority) -> int:
    """Return that of the certificate which a server of HTTPS or gRPC shows."""
    context = ssl.create_default_context(cafile=authority.path)
    context.set_alpn_protocols(["h2", "http/1.1"])
    with (
        socket.create_connection(("127.0.0.1", port), DEADLINE_S) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as encrypted,
    ):
        shown = encrypted.getpeercert(binary_form=True)
        assert shown is not None
        return x509.load_der_x509_certificate(shown).serial_number


class TestTLS:
    """The certificate is KServe's flags', for every route and gRPC."""

    @pytest.fixture
    def authority(self, tmp_path: Path) -> Authority:
        return Authority(tmp_path)

    @pytest.mark.parametrize(
        "flags", [("--ssl-certfile", "--ssl-keyfile"), ("--ssl_certfile", "--ssl_keyfile")]
    )
    def test_every_route_is_encrypted(
        self, models: Path, tmp_path: Path, authority: Authority, flags: tuple[str, str]
    ) -> None:
        certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
        authority.sign(certificate, key)
        with ServerProcess(
            models,
            flags[0],
            str(certificate),
            flags[1],
            str(key),
            log=tmp_path / "log",
            authority=authority.path,
        ) as server:
            fast = server.predict("rooms", GOOD, "application/json")
            kserves = server.client.post(
                "/v1/models/rooms:predict",
                content=iter([GOOD.encode()]),
                headers={"content-type": "application/json"},
            )
            assert fast.status_code == kserves.status_code == 200
            assert fast.content == kserves.content
            credentials = grpc.ssl_channel_credentials(authority.path.read_bytes())
            with grpc.secure_channel(f"127.0.0.1:{server.grpc_port}", credentials) as channel:
                assert infer(server, channel) == fast.json()["predictions"][0]
            with pytest.raises(httpx.TransportError):
                httpx.get(f"http://127.0.0.1:{server.http_port}/v2/health/live")
            with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                httpx.get(f"{server.url}/v2/health/live")
            old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            old.load_verify_locations(authority.path)
            old.maximum_version = ssl.TLSVersion.TLSv1_2
            with httpx.Client(verify=old) as client:
                assert client.get(f"{server.url}/v2/health/live").status_code == 200
            assert server.stop() == 0

    def test_a_new_certificate_is_shown(
        self, models: Path, tmp_path: Path, authority: Authority
    ) -> None:
        certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
        first = authority.sign(certificate, key)
        flags = ("--ssl-certfile", str(certificate), "--ssl-keyfile", str(key))
        with ServerProcess(
            models, *flags, log=tmp_path / "log", authority=authority.path
        ) as server:

            def shown() -> int:
                text = ssl.get_server_certificate(("127.0.0.1", server.http_port))
                return x509.load_pem_x509_certificate(text.encode()).serial_number

            assert shown() == first
            second = authority.sign(certificate, key)
            until("the new certificate is shown", lambda: shown() == second)
            certificate.write_text("damaged")
            until("the damage is told", lambda: "no certificate" in server.log.read_text())
            assert shown() == second

    @pytest.mark.parametrize("order", [("tls.crt", "tls.key"), ("tls.key", "tls.crt")])
    def test_a_certificate_that_does_not_fit_its_key_is_not_shown(
        self, models: Path, tmp_path: Path, authority: Authority, order: tuple[str, str]
    ) -> None:
        certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
        new = tmp_path / "new"
        new.mkdir()
        first = authority.sign(certificate, key)
        second = authority.sign(new / "tls.crt", new / "tls.key")
        flags = ("--ssl-certfile", str(certificate), "--ssl-keyfile", str(key))
        with ServerProcess(
            models, *flags, log=tmp_path / "log", authority=authority.path
        ) as server:

            def shown() -> list[int]:
                ports = server.http_port, server.grpc_port
                return [serial_number(port, authority) for port in ports]

            assert shown() == [first, first]
            replace(tmp_path / order[0], (new / order[0]).read_text())
            until("the misfit is told", lambda: "KEY_VALUES_MISMATCH" in server.log.read_text())
            assert shown() == [first, first]
            replace(tmp_path / order[1], (new / order[1]).read_text())
            until("the new pair is shown", lambda: shown() == [second, second])

    def test_a_key_with_a_password_is_refused_and_nobody_is_asked(
        self, models: Path, tmp_path: Path, authority: Authority
    ) -> None:
        certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
        authority.sign(certificate, key, password=b"secret")
        line = refuse(models, "--ssl-certfile", str(certificate), "--ssl-keyfile", str(key))
        assert "are no certificate and its key" in line

    def test_bad_files_refuse_to_start(
        self, models: Path, tmp_path: Path, authority: Authority
    ) -> None:
        certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
        authority.sign(certificate, tmp_path / "other.key")
        authority.sign(tmp_path / "other.crt", key)
        line = refuse(models, "--ssl-certfile", str(certificate), "--ssl-keyfile", str(key))
        assert "are no certificate and its key" in line
        assert "set --ssl-certfile and --ssl-keyfile to files in PEM" in line


class TestTokens:
    """Only health and metrics are open without a token; the file is read again when it changes."""

    @pytest.fixture
    def token_file(self, tmp_path: Path) -> Path:
        path = tmp_path / "tokens"
        path.write_bytes(
            b"\xef\xbb\xbffirst\r\n\n# a line of words, none of them a token\n second \n"
        )
        return path

    @pytest.fixture
    def guarded(self, models: Path, tmp_path: Path, token_file: Path) -> Iterator[ServerProcess]:
        flags = ("--token-file", str(token_file))
        with ServerProcess(models, *flags, log=tmp_path / "log") as server:
            yield server

    def ask(self, server: ServerProcess, authorization: str | None) -> httpx.Response:
        headers = {"content-type": "application/json"}
        if authorization is not None:
            headers["authorization"] = authorization
        return server.client.post("/v1/models/rooms:predict", content=GOOD, headers=headers)

    @pytest.mark.parametrize("authorization", ["Bearer first", "bearer second"])
    def test_a_token_lets_in(self, guarded: ServerProcess, authorization: str) -> None:
        assert self.ask(guarded, authorization).status_code == 200

    @pytest.mark.parametrize(
        "authorization",
        [None, "", "first", "Bearer", "Bearer firs", "Basic first", "Bearer of", "Bearer #"],
    )
    def test_none_does_not(self, guarded: ServerProcess, authorization: str | None) -> None:
        answer = self.ask(guarded, authorization)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.json()["error"].startswith("a bearer token is needed")

    def test_what_is_open(self, guarded: ServerProcess) -> None:
        status = {
            path: guarded.client.get(path).status_code
            for path in (
                "/",
                "/metrics",
                "/v2/health/live",
                "/v2/health/ready",
                "/v1/models",
                "/v2/models",
                "/v1/models/rooms/schema",
                "/openapi.json",
                "/nope",
                "/metrics/",
            )
        }
        assert [path for path, code in status.items() if code == 200] == [
            "/",
            "/metrics",
            "/v2/health/live",
            "/v2/health/ready",
        ]
        assert {code for code in status.values() if code != 200} == {401}

    def test_grpc_asks_for_it_too(self, guarded: ServerProcess) -> None:
        with grpc.insecure_channel(f"127.0.0.1:{guarded.grpc_port}") as channel:
            assert infer(guarded, channel, "first") > 0
            with pytest.raises(grpc.RpcError) as refused:
                infer(guarded, channel, "third")
            assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED
            live = GRPCInferenceServiceStub(channel).ServerLive(pb.ServerLiveRequest())
            assert live.live

    def test_the_file_is_read_again(self, guarded: ServerProcess, token_file: Path) -> None:
        replace(token_file, "third\n")
        assert self.ask(guarded, "Bearer third").status_code == 200
        assert self.ask(guarded, "Bearer first").status_code == 401
        for text in ("\n", "# third\n", "fourth\nof two words\n", "fourth\nfünf\n"):
            replace(token_file, text)
            assert self.ask(guarded, "Bearer fourth").status_code == 401
            assert self.ask(guarded, "Bearer third").status_code == 200, (
                "a bad file changes nothing"
            )
        token_file.unlink()
        assert self.ask(guarded, "Bearer third").status_code == 200

    def test_no_token_refuses_to_start(self, models: Path, tmp_path: Path) -> None:
        empty = tmp_path / "empty"
        empty.touch()
        assert refuse(models, "--token-file", str(empty)).endswith(
            "holds no token; write one a line into it"
        )
        empty.write_text("# comment\nfirst\nsecret words\n")
        line = refuse(models, "--token-file", str(empty))
        assert "empty: line 3 is no token; write one a line" in line
        assert "secret" not in line
        missing = str(tmp_path / "missing")
        assert "can't be read (No such file or directory)" in refuse(
            models, "--token-file", missing
        )


def test_a_file_that_can_be_read_at_last_has_changed(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    path.touch(mode=0o000)
    watch = FileWatch(path)
    assert not watch.changed()

    def mended() -> bool:
        path.chmod(0o600)  # clocks of file systems have ticks
        return watch.changed()

    until("the mode counts", mended)
    watch.used()
    assert not watch.changed()


class TestRepositoryRoutes:
    """Models are loaded and unloaded by requests only where that was asked for."""

    def test_they_are_closed(self, server: ServerProcess) -> None:
        for action in ("load", "unload"):
            answer = server.client.post(f"/v2/repository/models/rooms/{action}")
            assert answer.status_code == 404
        assert not [
            path
            for path in server.client.get("/openapi.json").json()["paths"]
            if path.startswith("/v2/repository/models")
        ]
        with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
            stub = GRPCInferenceServiceStub(channel)
            for call, ask in (
                (stub.RepositoryModelUnload, pb.RepositoryModelUnloadRequest(model_name="rooms")),
                (stub.RepositoryModelLoad, pb.RepositoryModelLoadRequest(model_name="rooms")),
            ):
                with pytest.raises(grpc.RpcError) as refused:
                    call(ask)
                assert refused.value.code() == grpc.StatusCode.UNIMPLEMENTED
        assert server.predict("rooms", GOOD, "application/json").status_code == 200

    def test_they_can_be_opened(self, own_models: Path, tmp_path: Path) -> None:
        with ServerProcess(own_models, "--repository-api", log=tmp_path / "log") as server:
            post = server.client.post
            assert post("/v2/repository/models/rooms/unload").status_code == 200
            assert server.predict("rooms", GOOD, "application/json").status_code == 404
            assert post("/v2/repository/models/rooms/load").status_code == 200
            assert server.predict("rooms", GOOD, "application/json").status_code == 200
            for name in ("nope", "..", "%2e%2e%2fmodels", "rooms%2f..%2fboston"):
                assert post(f"/v2/repository/models/{name}/load").status_code in {404, 503}
            (own_models / "rooms" / "model.onnx").write_bytes(b"damaged")
            assert post("/v2/repository/models/rooms/load").status_code == 503
            assert server.predict("rooms", GOOD, "application/json").status_code == 200


def test_grpc_tells_whose_fault_it_is(server: ServerProcess) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        stub = GRPCInferenceServiceStub(channel)
        with pytest.raises(grpc.RpcError) as missing:
            stub.ModelInfer(pb.ModelInferRequest(model_name="nope"))
        assert missing.value.code() == grpc.StatusCode.NOT_FOUND
        with pytest.raises(grpc.RpcError) as wrong:
            stub.ModelInfer(pb.ModelInferRequest(model_name="rooms"))
        assert wrong.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert not [one for one in server.records() if one["level"] in {"ERROR", "WARNING"}]


def test_expected_digests(own_models: Path, tmp_path: Path) -> None:
    pins = {
        name: (own_models / name / "manifest.sha256").read_text().split()[0]
        for name in ("rooms", "boston")
    }
    flags = [f"--expect-digest={name}=sha256:{digest}" for name, digest in pins.items()]
    with ServerProcess(own_models, *flags, log=tmp_path / "log") as server:
        assert server.predict("rooms", GOOD, "application/json").status_code == 200
    environment = {
        "MODEL_SERVER_EXPECT_DIGEST": ",".join(f"{n}=sha256:{digest}" for n, digest in pins.items())
    }
    with ServerProcess(own_models, log=tmp_path / "log", environment=environment) as server:
        assert server.predict("boston", GOOD, "application/json").status_code == 400
    line = refuse(own_models, flags[0])
    assert "model 'boston' has SHA-256" in line
    assert "which is not pinned" in line
    line = refuse(own_models, flags[0], f"--expect-digest=boston=sha256:{'0' * 64}")
    assert f"where --expect-digest says {'0' * 64}" in line
    line = refuse(own_models, *flags, f"--expect-digest=other=sha256:{'0' * 64}")
    assert "holds no model 'other'; see --expect-digest" in line
