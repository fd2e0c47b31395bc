"""Directories: what a volume may hold beside sound models is refused, skipped or passed by.

Each kind is beside the sound models of a server: alone it ends the start in one line, with
``--skip-broken`` it is skipped, and what is no model is passed by. A multi-model endpoint is told
odd places of models besides.
"""

import hashlib
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import onnx

from harness.http_client import JSON
from harness.processes import ServerProcess, refuse
from model_server.model import directory as model_directory
from soak.scenario import Outcome, some

_GOOD = ("boston", "rooms")
_BODY = b'{"instances": [[6.5]]}'


def _change(**members: Any) -> Callable[[Path], None]:
    def change(model: Path) -> None:
        file = model / model_directory.MANIFEST
        _sign(model, json.loads(file.read_bytes()) | {"name": model.name} | members)

    return change


def _sign(model: Path, manifest: dict[str, Any]) -> None:
    text = json.dumps(manifest).encode()
    (model / model_directory.MANIFEST).write_bytes(text)
    digest = hashlib.sha256(text).hexdigest()
    (model / model_directory.DIGEST).write_text(f"{digest}  {model_directory.MANIFEST}\n")


def _list_twice(model: Path) -> None:
    manifest = json.loads((model / model_directory.MANIFEST).read_bytes())
    _change(features=manifest["features"] * 2)(model)


def _point_elsewhere(model: Path) -> None:
    """Have the graph's data lie in a file of the server's working directory."""
    graph = onnx.load(str(model / model_directory.ONNX))
    node = graph.graph.node[0].attribute.add()
    node.name, node.type = "value", onnx.AttributeProto.TENSOR
    node.t.data_type, node.t.data_location = 1, onnx.TensorProto.EXTERNAL
    node.t.external_data.add(key="location", value="README.md")
    content = graph.SerializeToString()
    (model / model_directory.ONNX).write_bytes(content)
    manifest = json.loads((model / model_directory.MANIFEST).read_bytes())
    files = manifest["files"] | {model_directory.ONNX: hashlib.sha256(content).hexdigest()}
    _change(files=files)(model)


def _empty(model: Path) -> None:
    for path in model.iterdir():
        path.write_bytes(b"")


BROKEN: dict[str, Callable[[Path], None]] = {
    "no-golden-rows": _change(golden={"instances": [], "predictions": []}),
    "no-answers": _change(golden={"instances": [[6.5]], "predictions": []}),
    "loose": _change(tolerance={"absolute": 1e308, "relative": 0.0}),
    "above-all": _change(tolerance={"absolute": 0.0, "relative": 1e308}),
    "another-s-name": _change(name="rooms"),
    "features-twice": _list_twice,
    "data-elsewhere": _point_elsewhere,
    "empty-files": _empty,
}
"""What is done to a copy of rooms, by the name of the directory."""

_NO_MODELS = ("lost+found", "notes")
_ODD = ("\0", "x/" * 2500, "\ud800", "..", "../..", "x" * 300, " ", "%00", "link", "\n", "~")


def run(models: Path, folder: Path, *, urls: int = 5000, seed: int = 14) -> Outcome:
    """Start servers beside every kind, and tell a multi-model endpoint so many places.

    Parameters
    ----------
    models : Path
        Trained model directories, ``boston`` and ``rooms``.
    folder : Path
        For copies of them and the servers' logs.
    urls : int
    seed : int
    """
    wrong = _serve_beside(models, folder / "all")
    for name in BROKEN:
        root = folder / name
        _copy(models, root, [name])
        line = refuse(root, "--no-grpc", "--http-port=0")
        if name not in line:
            wrong.append(f"{name} is not named: {line:.200}")
    wrong += _tell_places(models, folder / "mounted", urls, random.Random(seed))
    return Outcome(
        asked="broken directories are refused in a line, skipped with --skip-broken, and no models "
        "passed by; an endpoint of many models loads none from an odd place",
        seen=f"{len(BROKEN)} kinds of broken directories, {len(_NO_MODELS)} of no models, {urls:,} "
        f"places: {some(wrong)} wrong",
        held=not wrong,
    )


def _copy(models: Path, root: Path, names: list[str]) -> None:
    for name in _GOOD:
        shutil.copytree(models / name, root / name)
    for name in names:
        BROKEN[name](Path(shutil.copytree(models / "rooms", root / name)))


def _serve_beside(models: Path, root: Path) -> list[str]:
    """Return what is wrong with a server that skips all that is broken."""
    _copy(models, root, list(BROKEN))
    for name in _NO_MODELS:
        (root / name).mkdir()
        (root / name / "file").touch()
    flags = ("--skip-broken", "--no-grpc")
    with ServerProcess(root, *flags, log=root.parent / "skip.log") as server:
        wrong = []
        answer = server.predict("rooms", _BODY, JSON)
        if answer.status_code != httpx.codes.OK:
            wrong.append(f"the sound one: status {answer.status_code}")
        for name in BROKEN:
            answer = server.predict(name, _BODY, JSON)
            if answer.status_code == httpx.codes.OK:
                wrong.append(f"{name}: is served")
        return wrong


def _tell_places(models: Path, root: Path, urls: int, rng: random.Random) -> list[str]:
    """Return what a multi-model endpoint answers wrongly, or loads."""
    shutil.copytree(models / "rooms", root / "a1" / "model")
    (root / "link").symlink_to(models / "rooms")
    flags = (f"--multi-model-root={root}", "--multi-model")
    log = root.parent / "mounted.log"
    wrong = []
    with ServerProcess(root / "none", *flags, log=log, word="serve") as server:
        for number in range(urls):
            odd = "".join(rng.choice(_ODD) for _ in range(rng.randrange(1, 4)))
            content = json.dumps({"model_name": f"m{number}", "url": f"{root}/{odd}"})
            status = server.client.post("/models", content=content).status_code
            if status != httpx.codes.BAD_REQUEST:
                wrong.append(f"{odd!r:.80}: status {status}")
        told = {"model_name": "a1", "url": f"{root}/a1/model"}
        if server.client.post("/models", json=told).status_code != httpx.codes.OK:
            wrong.append("the sound one is not loaded")
    return wrong
