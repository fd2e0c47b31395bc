"""Amazon SageMaker's contract, on a server that is started as the platform starts it."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from harness.processes import ServerProcess, refuse, until
from model_server import settings
from tests.model_server import slow_model

CSV, JSON, LINES = "text/csv", "application/json", "application/jsonlines"


def invoke(
    server: ServerProcess, content: bytes | str, content_type: str, accept: str | None = None
) -> httpx.Response:
    headers = {"content-type": content_type, "accept": accept or ""}
    return server.client.post(
        "/invocations",
        content=content,
        headers={key: value for key, value in headers.items() if value},
    )


@pytest.fixture(scope="module")
def rooms(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """The model in the image, as the platform's folder is empty."""
    folder = tmp_path_factory.mktemp("sagemaker")
    (folder / "model" / "lost+found").mkdir(parents=True)
    flags = ("--invocations=rooms", f"--sagemaker-models={folder / 'model'}")
    with ServerProcess(models, *flags, word="serve", log=folder / "log") as server:
        yield server


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (b'{"instances": [[5], [6.5]]}', JSON),
        (b'{"instances": [{"RM": 5}, {"RM": 6.5}]}', JSON),
        (b"[[5], [6.5]]", JSON),
        (b'[5]\n{"RM": 6.5}\n', LINES),
        (b"5\n6.5\n", CSV),
        (b"RM\n5\n6.5\n", "text/csv; charset=utf-8"),
    ],
)
def test_rooms_to_dollars_in_every_format(
    rooms: ServerProcess, content: bytes, content_type: str
) -> None:
    straight = rooms.predict("rooms", b'{"instances": [[5], [6.5]]}', JSON).json()["predictions"]
    assert 5_000 < straight[0] < straight[1] < 50_000
    answers = [invoke(rooms, content, content_type, accept) for accept in (JSON, CSV, LINES)]
    assert [answer.headers["content-type"] for answer in answers] == [JSON, CSV, LINES]
    assert answers[0].json() == {"predictions": straight}
    for answer in answers[1:]:
        assert [float(line) for line in answer.text.splitlines()] == straight


@pytest.mark.parametrize("announced", [True, False])
def test_it_answers_as_v1_does(rooms: ServerProcess, *, announced: bool) -> None:
    for content, content_type in [
        (b'{"instances": [[6.5]]}', JSON),
        (b'{"instances": [["six"]]}', JSON),
        (b"6\nsix\n", CSV),
        (b"6", "application/x-npy"),
        (b"x" * 7_000_000, CSV),
    ]:
        for accept in (CSV, JSON, "image/png"):
            answers = [
                rooms.client.post(
                    path,
                    content=content if announced else iter([content]),
                    headers={"content-type": content_type, "accept": accept},
                )
                for path in ("/invocations", "/v1/models/rooms:predict")
            ]
            assert answers[0].status_code == answers[1].status_code
            assert answers[0].content == answers[1].content


def test_only_what_is_sent_is_invoked(rooms: ServerProcess) -> None:
    answer = rooms.client.get("/invocations")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert rooms.client.post("/models/rooms/invoke", json=[[6.5]]).status_code == 404
    assert rooms.client.post("/models", json={"model_name": "x", "url": "/"}).status_code == 404


def test_a_ping_has_no_body(rooms: ServerProcess) -> None:
    answer = rooms.client.get("/ping")
    assert (answer.status_code, answer.content) == (200, b"")


def test_a_batch_is_answered_line_for_line(rooms: ServerProcess) -> None:
    told = rooms.client.get("/execution-parameters").json()
    assert told["BatchStrategy"] == "MULTI_RECORD"
    assert told["MaxConcurrentTransforms"] >= 1
    most_bytes = told["MaxPayloadInMB"] * 1024**2
    line = b"6.25\n"
    whole = line * (most_bytes // len(line))
    answer = invoke(rooms, whole, CSV, CSV)
    assert answer.status_code == 200
    assert answer.content.count(b"\n") == whole.count(b"\n")
    assert invoke(rooms, whole + line * len(line), CSV, CSV).status_code == 413


def test_the_routes_are_off_unless_the_platform_starts_it(server: ServerProcess) -> None:
    for path in ("/ping", "/execution-parameters", "/models"):
        assert server.client.get(path).status_code == 404
    assert server.client.post("/invocations", json=[[6.5]]).status_code == 404


def test_a_ping_fails_with_the_golden_row(own_models: Path, tmp_path: Path) -> None:
    shutil.rmtree(own_models / "rooms")
    shutil.rmtree(own_models / "boston")
    slow_model.write(own_models, slow_model.Rotting())
    with ServerProcess(
        own_models, "--health-interval-s=1", word="serve", log=tmp_path / "log"
    ) as server:
        assert server.client.get("/ping").status_code == 200
        invoke(server, b"[[101]]", JSON)
        until("the ping fails", lambda: server.client.get("/ping").status_code == 503)


def test_the_default_of_accept_is_the_platforms(models: Path, tmp_path: Path) -> None:
    environment = {"SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT": CSV}
    with ServerProcess(
        models, "--invocations=rooms", word="serve", environment=environment, log=tmp_path / "log"
    ) as server:
        for accept, expected in (("*/*", CSV), (None, CSV), (JSON, JSON), ("application/*", JSON)):
            request = server.client.build_request(
                "POST", "/invocations", content=b"[[6.5]]", headers={"content-type": JSON}
            )
            del request.headers["accept"]
            if accept is not None:
                request.headers["accept"] = accept
            assert server.client.send(request).headers["content-type"] == expected


def test_the_platforms_model_is_served_before_those_inside(
    own_models: Path, models: Path, tmp_path: Path
) -> None:
    given = tmp_path / "model"
    shutil.copytree(models / "boston", given)
    with ServerProcess(
        models, f"--sagemaker-models={given}", word="serve", log=tmp_path / "log"
    ) as server:
        assert server.client.get("/v1/models").json() == {"models": ["boston"]}
        golden = json.loads((given / "manifest.json").read_text())["golden"]
        answer = invoke(server, json.dumps(golden["instances"]), JSON)
        assert answer.json()["predictions"] == pytest.approx(golden["predictions"], rel=1e-4)


def test_an_empty_folder_is_no_model(rooms: ServerProcess) -> None:
    assert rooms.client.get("/v1/models").json() == {"models": ["boston", "rooms"]}


def test_it_must_be_clear_which_model_is_asked(models: Path) -> None:
    assert refuse(models, word="serve") == (
        "/invocations can ask one model only, and there are boston, rooms; "
        "name one with --invocations"
    )


def test_a_default_that_can_not_be_written_is_refused(models: Path) -> None:
    line = refuse(models, "--invocations=rooms", "--default-accept=image/png", word="serve")
    assert line.startswith("--default-accept: can't write Accept 'image/png'; take")


def test_the_platforms_variables() -> None:
    environment = {
        "SAGEMAKER_BIND_TO_PORT": "9000",
        "SAGEMAKER_MULTI_MODEL": "true",
        "SAGEMAKER_BATCH": "true",
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": "100",
        "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": "2",
    }
    plain = settings.parse([], environment)
    assert (plain.sagemaker, plain.http_port, plain.multi_model) == (False, 8080, False)
    chosen = settings.parse(["serve"], environment)
    assert (chosen.sagemaker, chosen.grpc) == (True, False)
    assert (chosen.http_port, chosen.multi_model) == (9000, True)
    assert chosen.body_limit_bytes == 100 * 1024**2
    assert chosen.queue_limit_ms > plain.queue_limit_ms
    flagged = settings.parse(["serve", "--http-port", "1"], environment)
    assert flagged.http_port == 1
    assert settings.parse(["serve"], {**environment, "MODEL_SERVER_HTTP_PORT": "2"}).http_port == 2
