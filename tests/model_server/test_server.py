"""Starting, describing, logging and stopping, on real processes."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import jsonschema
import psutil
import pytest

from harness.processes import ROOT, ServerProcess, refuse
from model_server.model import directory as model_directory
from tests.model_server.test_directory import BROKEN, change


def test_models_and_their_readiness(server: ServerProcess) -> None:
    assert server.client.get("/v1/models").json() == {"models": ["boston", "rooms"]}
    assert server.client.get("/v1/models/rooms").json() == {"name": "rooms", "ready": True}
    assert server.client.get("/v2/health/live").json() == {"live": True}
    assert server.client.get("/v2/health/ready").json() == {"ready": True}


def test_schema_describes_features_and_target(server: ServerProcess) -> None:
    schema = server.client.get("/v1/models/rooms/schema").json()
    rooms = schema["features"]["properties"]["RM"]
    assert (rooms["x-minimum"], rooms["default"], rooms["x-maximum"]) == (3.561, 6.2085, 8.78)
    assert rooms["x-unit"] == "rooms"
    assert schema["target"]["x-unit"] == "USD"
    assert schema["target"]["x-interval"]["lower"] < 0 < schema["target"]["x-interval"]["upper"]


@pytest.mark.parametrize("name", ["rooms", "boston"])
def test_schema_is_a_json_schema_and_its_example_is_predicted(
    server: ServerProcess, name: str
) -> None:
    schema = server.client.get(f"/v1/models/{name}/schema").json()
    [example] = schema["features"]["examples"]
    jsonschema.Draft202012Validator.check_schema(schema["features"])
    jsonschema.Draft202012Validator.check_schema(schema["target"])
    jsonschema.validate(example, schema["features"])
    answer = server.predict(name, json.dumps({"instances": [example]}), "application/json")
    jsonschema.validate(answer.json()["predictions"][0], schema["target"])


def test_the_tensors_of_v2_are_described(server: ServerProcess) -> None:
    metadata = server.client.get("/v2/models/boston").json()
    assert metadata["inputs"] == [{"name": "input-0", "datatype": "FP64", "shape": [-1, 12]}]
    assert metadata["outputs"] == [{"name": "output-0", "datatype": "FP64", "shape": [-1]}]
    asked = server.client.get("/v1/models/boston/schema").json()
    assert (metadata["versions"], metadata["platform"]) == ([asked["version"]], "onnxruntime")


def test_requests_are_counted(server: ServerProcess) -> None:
    server.predict("rooms", '{"instances": [[6.5]]}', "application/json")
    text = server.client.get("/metrics").text
    assert 'request_predict_seconds_count{model_name="rooms"}' in text


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_cleanly(models: Path, tmp_path: Path, sig: signal.Signals) -> None:
    with ServerProcess(models, log=tmp_path / "log") as server:
        server.predict("rooms", '{"instances": [["six"]]}', "application/json")
        server.predict("rooms", '{"instances": [[6.5]]}', "application/json")
        assert server.stop(sig) == 0
    messages = [record["message"] for record in server.records()]
    assert messages == [
        "serving",
        "stopping",
        "stopped",
    ]


def test_access_log_is_asked_for(models: Path, tmp_path: Path) -> None:
    with ServerProcess(models, "--access-log", log=tmp_path / "log") as server:
        server.client.get("/v1/models")
        server.stop()
    assert any("GET /v1/models" in record["message"] for record in server.records())


def test_a_curl_to_paste_is_printed(models: Path, tmp_path: Path) -> None:
    with ServerProcess(models, "--print-example", log=tmp_path / "log") as server:
        [command] = [
            line for line in server.log.read_text().splitlines() if line.startswith("curl ")
        ]
        answered = subprocess.run(
            ["bash", "-c", command], capture_output=True, text=True, check=True
        )
    assert 10_000 < json.loads(answered.stdout)["predictions"][0] < 50_000


@pytest.mark.parametrize(
    ("name", "file"),
    [
        (name, file)
        for name in ("rooms", "boston")
        for file in (
            "manifest.json",
            "manifest.sha256",
            "model.joblib",
            "model.onnx",
            "report.html",
        )
    ],
)
def test_a_flipped_byte_refuses_to_start(own_models: Path, name: str, file: str) -> None:
    path = own_models / name / file
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    line = refuse(own_models)
    at_fault = "manifest.json" if file == "manifest.sha256" else file
    assert line.startswith(f"{own_models / name}: {at_fault}: ")
    assert line.endswith("; train the model again or restore the directory from its source")


def test_whatever_is_wrong_with_a_model_it_can_be_skipped(own_models: Path, tmp_path: Path) -> None:
    for name, (changes, _) in BROKEN.items():
        shutil.copytree(own_models / "rooms", own_models / name)
        change(own_models / name, {"name": name, **changes})
    shutil.copytree(own_models / "rooms", own_models / "second-rooms")
    shutil.copytree(own_models / "boston", own_models / "a")
    shutil.rmtree(own_models / "boston")
    (own_models / "boston").mkdir()
    (own_models / "boston" / "manifest.json").write_text("[" * 100_000)
    odd = own_models / os.fsdecode(b"caf\xe9")
    shutil.copytree(own_models / "boston", odd)
    (own_models / "notes").mkdir()
    with ServerProcess(own_models, "--skip-broken", log=tmp_path / "log") as server:
        ready = {
            name: server.client.get(f"/v1/models/{name}").status_code == 200
            for name in server.client.get("/v1/models").json()["models"]
        }
        assert server.predict("rooms", '{"instances": [[6.5]]}', "application/json").is_success
    sound = {"boston", "rooms"}
    assert ready == {name: name in sound for name in (*sound, *BROKEN, "second-rooms")}
    told = [one["message"] for one in server.records() if one["level"] == "ERROR"]
    assert len(told) == len(BROKEN) + 3, "the second rooms, and the two whose names are not listed"


def test_a_pinned_model_that_is_broken_can_be_skipped(own_models: Path, tmp_path: Path) -> None:
    digest = model_directory.read(own_models / "rooms").digest
    pins = [
        f"--expect-digest={pin}" for pin in (f"rooms=sha256:{digest}", f"other=sha256:{'0' * 64}")
    ]
    with ServerProcess(own_models, "--skip-broken", *pins, log=tmp_path / "log") as server:
        assert server.client.get("/v1/models/rooms").status_code == 200
        assert server.client.get("/v1/models/boston").status_code == 503
    told = [one["message"] for one in server.records() if one["level"] == "ERROR"]
    assert ["which is not pinned" in told[0], "holds no model 'other'" in told[1]] == [True, True]


def test_a_broken_model_can_be_skipped(own_models: Path, tmp_path: Path) -> None:
    (own_models / "boston" / "model.onnx").write_bytes(b"damaged")
    with ServerProcess(own_models, "--skip-broken", log=tmp_path / "log") as server:
        assert server.client.get("/v1/models/rooms").status_code == 200
        assert server.client.get("/v2/health/ready").status_code == 200
        good = server.predict("rooms", '{"instances": [[6.5]]}', "application/json")
        assert good.status_code == 200
        for answer in (
            server.client.get("/v1/models/boston"),
            server.client.get("/v1/models/boston/schema"),
            server.predict("boston", '{"instances": [[6.5]]}', "application/json"),
        ):
            assert answer.status_code == 503
            assert answer.json() == {"error": "Model with name boston is not ready."}
    assert "model.onnx: damaged or changed (7 bytes" in server.records()[0]["message"]


@pytest.mark.slow
def test_no_model_at_all_refuses_to_start(tmp_path: Path) -> None:
    assert refuse(tmp_path / "nowhere").endswith("is not a directory; set --models to one")
    (tmp_path / "empty").mkdir()
    assert "holds no model directory; run `make train` first" in refuse(tmp_path / "empty")


def test_two_models_of_one_name_refuse_to_start(own_models: Path) -> None:
    (own_models / "rooms").rename(own_models / "a")
    (own_models / "boston").rename(own_models / "b")
    read = model_directory.read(own_models / "a")
    files = {file: (own_models / "a" / file).read_bytes() for file in read.manifest.files}
    model_directory.write(own_models / "b", read.manifest, files)
    assert "a second model named 'rooms'" in refuse(own_models)


def test_a_taken_port_refuses_to_start(server: ServerProcess, models: Path) -> None:
    line = refuse(models, "--http-port", str(server.http_port))
    assert line.endswith("(Address already in use); choose another with --http-port")
    line = refuse(models, "--http-port", "0", "--grpc-port", str(server.grpc_port))
    assert line.endswith("(Address already in use); choose another with --grpc-port")


def test_it_listens_on_ipv6_as_well(server: ServerProcess) -> None:
    answer = httpx.get(f"http://[::1]:{server.http_port}/v1/models")
    assert answer.json() == {"models": ["boston", "rooms"]}


def libraries(pid: int) -> set[str]:
    """Return the packages whose compiled modules a process has loaded."""
    maps = Path(f"/proc/{pid}/maps").read_text()
    return set(re.findall(r"site-packages/(\w+)/", maps))


def test_a_graph_is_served_without_what_it_does_not_need(server: ServerProcess) -> None:
    assert server.predict("boston", '{"instances": [[6.5]]}', "application/json").status_code == 400
    loaded = libraries(server.process.pid)
    assert "onnxruntime" in loaded
    assert not loaded & {"sklearn", "scipy", "pandas", "matplotlib"}


def test_an_estimator_brings_what_it_needs(own_models: Path, tmp_path: Path) -> None:
    for name in ("rooms", "boston"):
        read = model_directory.read(own_models / name)
        files = {file: (own_models / name / file).read_bytes() for file in read.manifest.files}
        del files["model.onnx"]
        model_directory.write(own_models / name, read.manifest, files)
    with ServerProcess(own_models, log=tmp_path / "log") as server:
        golden = read.manifest.golden
        body = json.dumps({"instances": golden.instances})
        answer = server.predict("boston", body, "application/json")
        assert answer.json()["predictions"] == list(golden.predictions)
        assert "sklearn" not in libraries(server.process.pid)
        workers = psutil.Process(server.process.pid).children(recursive=True)
        assert any("sklearn" in libraries(worker.pid) for worker in workers)


@pytest.mark.slow
def test_what_kserve_defers_is_there_when_it_is_used() -> None:
    script = (
        "import sys, model_server.program\n"
        "deferred = {'fastapi.applications', 'httpx', 'kubernetes', 'pandas'}\n"
        "assert not deferred & {*sys.modules}\n"
        "from kserve.protocol.infer_type import InferInput, InferRequest\n"
        "request = InferRequest('m', [InferInput('a', [2], 'FP64', data=[1.0, 2.0])])\n"
        "assert request.as_dataframe()['a'].tolist() == [1.0, 2.0]\n"
        "from kserve import InferenceRESTClient, KServeClient, ModelServer, RESTConfig\n"
        "InferenceRESTClient(RESTConfig(protocol='v1'))\n"
        "assert deferred <= {*sys.modules}"
    )
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True)


def test_onnx_runtime_reports_to_no_one(models: Path, tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path / "home"), "XDG_CACHE_HOME": str(tmp_path / "home")}
    (tmp_path / "home").mkdir()
    with ServerProcess(models, log=tmp_path / "log", environment=home) as server:
        assert "onnxruntime" in libraries(server.process.pid)
        server.stop()
    assert list((tmp_path / "home").iterdir()) == []
    assert [record["level"] for record in server.records()] == ["INFO", "INFO", "INFO"]
