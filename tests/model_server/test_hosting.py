"""A multi-model endpoint: models that the platform loads and unloads."""

import json
import shutil
import tarfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import psutil
import pytest

from harness.processes import ServerProcess, until
from model_server import memory
from tests.model_server import bare_model
from tests.sagemaker.router import Router

pytestmark = pytest.mark.slow

CSV = "text/csv"

ALWAYS = ("watcher", "zygote")
"""What a server has started that has loaded an estimator, whatever it has unloaded."""

ROOM_BYTES = 150e6
"""For one model with 64 MB of its own, and the processes in which it predicts; not for two."""


@pytest.fixture(scope="module")
def mounted(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Lay out models as the platform mounts them, under names of its own."""
    root = tmp_path_factory.mktemp("hosting") / "mounted"
    for opaque, name in (("a1", "rooms"), ("b2", "boston"), ("changed", "rooms")):
        shutil.copytree(models / name, root / opaque / "model")
    shutil.copytree(models / "rooms", root / "c3" / "model" / "rooms")
    bare_model.write(root / "d4" / "model", bare_model.line())
    shutil.copytree(models, root / "two")
    (root / "link").symlink_to(models / "rooms")
    for opaque in ("e5", "f6", "g7"):
        (root / opaque).mkdir()
    (root / "e5" / "model").mkdir()
    (root / "e5" / "model" / "rooms").symlink_to(models / "rooms")
    shutil.copytree(models / "rooms", root / "f6" / "model")
    (root / "f6" / "model" / "model.onnx").unlink()
    (root / "f6" / "model" / "model.onnx").symlink_to(models / "rooms" / "model.onnx")
    (root / "g7" / "model").symlink_to(root / "g7" / "model")
    return root


@pytest.fixture(scope="module")
def process(mounted: Path) -> Iterator[ServerProcess]:
    flags = (f"--multi-model-root={mounted}", "--health-interval-s=1")
    environment = {"SAGEMAKER_MULTI_MODEL": "true"}
    log = mounted.parent / "log"
    with ServerProcess(
        mounted.parent / "none", *flags, word="serve", environment=environment, log=log
    ) as server:
        yield server


@pytest.fixture
def hosting(process: ServerProcess) -> Iterator[ServerProcess]:
    """The process; what a test has loaded is unloaded after it."""
    yield process
    for one in process.client.get("/models").json()["models"]:
        process.client.delete(f"/models/{one['modelName']}")


def load(
    server: ServerProcess, mounted: Path, name: str, place: str | None = None
) -> httpx.Response:
    url = str(mounted / (place or name) / "model")
    return server.client.post("/models", json={"model_name": name, "url": url})


def test_models_come_and_go(hosting: ServerProcess, mounted: Path) -> None:
    http = hosting.client
    assert http.get("/ping").status_code == 200
    assert http.get("/models").json() == {"models": []}
    for name in ("a1", "b2", "c3", "d4"):
        assert load(hosting, mounted, name).status_code == 200
    told = {"modelName": "a1", "modelUrl": str(mounted / "a1" / "model")}
    assert http.get("/models/a1").json() == told
    assert [one["modelName"] for one in http.get("/models").json()["models"]] == [
        "a1",
        "b2",
        "c3",
        "d4",
    ]
    rooms = [http.post(f"/models/{name}/invoke", json=[[6.5]]).json() for name in ("a1", "c3")]
    assert rooms[0] == rooms[1]
    assert http.post("/models/d4/invoke", content="6\n", headers={"content-type": CSV}).json() == {
        "predictions": [22000.0]
    }
    assert http.delete("/models/a1").json() == told
    assert http.post("/models/a1/invoke", json=[[6.5]]).status_code == 404
    assert http.post("/models/c3/invoke", json=[[6.5]]).status_code == 200
    assert load(hosting, mounted, "a1").status_code == 200
    assert http.post("/models/a1/invoke", json=[[6.5]]).json() == rooms[0]
    assert http.get("/ping").status_code == 200


def test_the_list_is_told_in_pages(hosting: ServerProcess, mounted: Path) -> None:
    for name in ("m1", "m2", "m3"):
        load(hosting, mounted, name, "a1")
    first = hosting.client.get("/models", params={"limit": 2}).json()
    assert [one["modelName"] for one in first["models"]] == ["m1", "m2"]
    rest = hosting.client.get(
        "/models", params={"limit": 2, "next_page_token": first["nextPageToken"]}
    ).json()
    assert [one["modelName"] for one in rest["models"]] == ["m3"]
    assert "nextPageToken" not in rest


@pytest.mark.parametrize(
    ("asked", "status", "words"),
    [
        ({"model_name": "a1", "url": "{root}/a1/model"}, 409, "'a1' is loaded already"),
        ({"model_name": "x", "url": "{root}/../elsewhere"}, 400, "is not below"),
        ({"model_name": "x", "url": "/"}, 400, "is not below"),
        ({"model_name": "x", "url": "{root}/link"}, 400, "is not below"),
        ({"model_name": "x", "url": "{root}/none"}, 400, "is not a directory"),
        ({"model_name": "x", "url": "{root}"}, 400, "is a link out of"),
        ({"model_name": "x", "url": "{root}/two"}, 400, "holds 2 models"),
        ({"model_name": "x", "url": "{root}/e5/model"}, 400, "is a link out of"),
        ({"model_name": "x", "url": "{root}/f6/model"}, 400, "model.onnx' is a link out of"),
        ({"model_name": "x", "url": "{root}/g7/model"}, 400, "g7/model"),
        ({"model_name": "x", "url": "{root}/" + "x" * 300}, 400, "File name too long"),
        ({"model_name": "x", "url": "{root}/" + "x/" * 2500}, 400, "url"),
        ({"model_name": "x", "url": "{root}\0"}, 400, "url"),
        ({"model_name": "x", "url": "{root}/\ud800"}, 400, "not JSON"),
        ({"model_name": "x", "url": ""}, 400, "url"),
        ({"model_name": "x/y", "url": "{root}/a1/model"}, 400, "model_name"),
        ({"model_name": "x y", "url": "{root}/a1/model"}, 400, "model_name"),
        ({"model_name": "..", "url": "{root}/a1/model"}, 400, "model_name"),
        ({"model_name": "x" * 64, "url": "{root}/a1/model"}, 400, "model_name"),
        ({"model_name": "\udce9", "url": "{root}/a1/model"}, 400, "not JSON"),
        ({"model_name": "x"}, 400, "url"),
    ],
)
def test_what_is_not_loaded(
    hosting: ServerProcess, mounted: Path, asked: dict[str, str], status: int, words: str
) -> None:
    load(hosting, mounted, "a1")
    body = {key: value.format(root=mounted) for key, value in asked.items()}
    answer = hosting.client.post(
        "/models", content=json.dumps(body), headers={"content-type": "application/json"}
    )
    assert (answer.status_code, words in answer.json()["error"]) == (status, True)
    assert len(hosting.client.get("/models").json()["models"]) == 1


def test_a_changed_model_is_not_loaded(hosting: ServerProcess, mounted: Path) -> None:
    with (mounted / "changed/model/model.onnx").open("ab") as stream:
        stream.write(b"x")
    answer = load(hosting, mounted, "changed")
    assert answer.status_code == 400
    assert "model.onnx: damaged or changed" in answer.json()["error"]
    for call in (hosting.client.get, hosting.client.delete):
        assert call("/models/changed").status_code == 404


def test_memory_is_bounded(mounted: Path, tmp_path: Path) -> None:
    flags = ("--multi-model", f"--multi-model-root={mounted}", "--memory-limit-bytes=1")
    with ServerProcess(tmp_path / "none", *flags, word="serve", log=tmp_path / "log") as server:
        answer = load(server, mounted, "a1")
        assert answer.status_code == 507
        assert "--memory-limit-bytes" in answer.json()["error"]
        assert server.client.get("/models").json() == {"models": []}


def test_two_models_that_fit_one_at_a_time_take_turns(tmp_path: Path) -> None:
    archives, mounted = tmp_path / "archives", tmp_path / "mounted"
    for name in ("one", "two"):
        estimator = bare_model.line()
        estimator.ballast_ = np.random.default_rng(0).random(8_000_000)
        folder = bare_model.write(archives / name, estimator)
        with tarfile.open(archives / f"{name}.tar.gz", "w:gz", compresslevel=0) as archive:
            archive.add(folder, arcname=".")
    flags = (
        "--multi-model",
        f"--multi-model-root={mounted}",
    )
    with ServerProcess(tmp_path, *flags, word="serve", log=tmp_path / "log") as server:
        router = Router(server.url, archives, mounted, str(mounted))
        router.invoke("one.tar.gz", b"6\n", {"content-type": CSV})
        router.ask("DELETE", f"/models/{router.loaded[0]}")
        until("its processes have ended", lambda: len(children(server)) == len(ALWAYS))
        idle_bytes = memory.taken_bytes(server.process.pid)
    limit = f"--memory-limit-bytes={int(idle_bytes + ROOM_BYTES)}"
    with ServerProcess(tmp_path, *flags, limit, word="serve", log=tmp_path / "log") as server:
        router = Router(server.url, archives, mounted, str(mounted))
        for target in ("one.tar.gz", "two.tar.gz", "one.tar.gz"):
            answer = router.invoke(target, b"6\n", {"content-type": CSV, "accept": CSV})
            assert answer == (200, b"22000.0\n")
        assert len(router.unloaded) == 2
        assert len(server.client.get("/models").json()["models"]) == 1
        assert memory.taken_bytes(server.process.pid) < idle_bytes + ROOM_BYTES


def children(server: ServerProcess) -> list[psutil.Process]:
    """Return the processes that a server has started and that have not ended."""
    every = psutil.Process(server.process.pid).children(recursive=True)
    return [one for one in every if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


def test_many_at_once(hosting: ServerProcess, mounted: Path) -> None:
    """Loads, predictions and unloads of few names by many clients end in nothing unexpected."""
    statuses: set[tuple[str, int]] = set()
    lock = threading.Lock()

    def client(number: int) -> None:
        name = f"m{number % 3}"
        with httpx.Client(base_url=hosting.url, timeout=60) as http:
            for _ in range(5):
                url = str(mounted / "a1" / "model")
                told = [
                    ("load", http.post("/models", json={"model_name": name, "url": url})),
                    ("invoke", http.post(f"/models/{name}/invoke", json=[[6.5]])),
                    ("unload", http.delete(f"/models/{name}")),
                ]
                with lock:
                    statuses.update((what, answer.status_code) for what, answer in told)

    with ThreadPoolExecutor(9) as pool:
        list(pool.map(client, range(9)))
    allowed = {
        *(("load", 200), ("load", 409)),
        *(("invoke", 200), ("invoke", 404)),
        *(("unload", 200), ("unload", 404)),
    }
    assert statuses <= allowed
    assert {("load", 200), ("invoke", 200), ("unload", 200)} <= statuses
    names = [one["modelName"] for one in hosting.client.get("/models").json()["models"]]
    for name in names:
        assert hosting.client.post(f"/models/{name}/invoke", json=[[6.5]]).status_code == 200
