"""Memory: the worst bodies, ten at a time, at a container whose memory is what a pod has.

Of each body as many requests are kept up as there are clients, for some time, and others that never
read their answers. What the container was given is all there is: the system kills what takes more.
"""

import asyncio
import collections
import contextlib
import json
import logging
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import yaml

from harness.http_client import Connection, LostError, ask_once, get, post
from harness.ports import HOST, reserve_port
from harness.processes import DEADLINE_S, ROOT
from soak.memory_bodies import BODIES, INFER, Body
from soak.scenario import Outcome, some

log = logging.getLogger("soak")

_CLIENTS = 10
_IMAGE = "model-server:soak"
_MESSAGE_BYTES = 2**30
_PATIENCE_S = 300
_ANSWERS = {200, 400, 413, 415, 503}
_CODES = {
    grpc.StatusCode.OK: 200,
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 413,
    grpc.StatusCode.UNAVAILABLE: 503,
}
_GOOD = post("/v1/models/rooms:predict", b'{"instances": [[6.5]]}')


@dataclass
class Seen:
    """What came of the requests.

    Attributes
    ----------
    statuses : Counter of int
    wrong : list of str
        What came that is no answer, or none that may be given.
    """

    statuses: collections.Counter[int] = field(default_factory=collections.Counter)
    wrong: list[str] = field(default_factory=list)

    def note(self, name: str, status: int, told: str = "") -> None:
        """Note an answer."""
        self.statuses[status] += 1
        if status not in _ANSWERS:
            self.wrong.append(f"{name}: status {status} {told}")


def run(
    models: Path,  # noqa: ARG001 - the image holds its own
    folder: Path,  # noqa: ARG001 - and its log
    *,
    seconds: float = 60,
    names: Sequence[str] = tuple(BODIES),
    image: str = "",
) -> Outcome:
    """Send the worst bodies.

    Parameters
    ----------
    models, folder : Path
        Not used.
    seconds : float
        How long each is sent.
    names : sequence of str
        Which of them.
    image : str
        Built already; it is built here where there is none.
    """
    limit = yaml.safe_load((ROOT / "charts/model-server/values.yaml").read_text(encoding="utf-8"))
    memory = limit["resources"]["limits"]["memory"]
    asked = (
        f"{_CLIENTS} at a time of each of the worst bodies for {seconds:g} s, in a container with "
        f"{memory}: it is never killed, every request is answered with 200, 4xx or 503"
    )
    if not image:
        image = _IMAGE
        _docker("build", "--quiet", "--tag", image, str(ROOT))
    with _container(image, memory) as container:
        seen = asyncio.run(press(container.http_port, container.grpc_port, seconds, names))
        state = json.loads(_docker("inspect", container.name))[0]["State"]
    killed = state["OOMKilled"] or not state["Running"]
    statuses = ", ".join(
        f"{count:,} of {status}" for status, count in sorted(seen.statuses.items())
    )
    told = f"{len(names)} bodies: {statuses}; otherwise {some(seen.wrong)}"
    return Outcome(
        asked, f"{told}; {'killed' if killed else 'not killed'}", held=not (killed or seen.wrong)
    )


async def press(http_port: int, grpc_port: int, seconds: float, names: Sequence[str]) -> Seen:
    """Send each body for so long on ten connections; see that a small one is answered after it."""
    seen = Seen()
    for name in names:
        body, before = BODIES[name], collections.Counter(seen.statuses)
        if body.deaf:
            await _send_deaf(body, http_port, seconds)
        elif body.path == INFER:
            await _press_grpc(name, body, grpc_port, seconds, seen)
        else:
            await _press_http(name, body, http_port, seconds, seen)
        log.info("memory: %s: %s", name, dict(seen.statuses - before))
        try:
            answer = await ask_once(HOST, http_port, _GOOD)
            if answer.status != 200:
                seen.wrong.append(f"a row after {name}: status {answer.status}")
        except (LostError, OSError) as error:
            seen.wrong.append(f"a row after {name}: {error}")
            return seen
    return seen


async def _press_http(name: str, body: Body, port: int, seconds: float, seen: Seen) -> None:
    request, end = body.request(), time.monotonic() + seconds

    async def press_one() -> None:
        connection = None
        while time.monotonic() < end:
            try:
                connection = connection or await Connection.open(HOST, port)
                answer = await connection.ask(request, timeout_s=_PATIENCE_S)
            except (LostError, OSError) as error:
                seen.wrong.append(f"{name}: {error}")
                return
            seen.note(name, answer.status, answer.body[:100].decode(errors="replace"))
            if answer.closes:
                connection.close()
                connection = None
        if connection is not None:
            connection.close()

    await asyncio.gather(*(press_one() for _ in range(_CLIENTS)))


async def _press_grpc(name: str, body: Body, port: int, seconds: float, seen: Seen) -> None:
    message, end = body.content(), time.monotonic() + seconds
    options = [("grpc.max_receive_message_length", _MESSAGE_BYTES)]

    async def press_one() -> None:
        async with grpc.aio.insecure_channel(
            f"{HOST}:{port}", options=[*options, ("grpc.use_local_subchannel_pool", 1)]
        ) as channel:
            call = channel.unary_unary(INFER)
            while time.monotonic() < end:
                try:
                    await call(message, timeout=_PATIENCE_S)
                    seen.note(name, 200)
                except grpc.aio.AioRpcError as error:
                    seen.note(name, _CODES.get(error.code(), 500), str(error.details()))

    await asyncio.gather(*(press_one() for _ in range(_CLIENTS)))


async def _send_deaf(body: Body, port: int, seconds: float) -> None:
    """Ask for long answers, and read none; who has waited long is let go, which is right."""
    writers = []
    for _ in range(_CLIENTS):
        _, writer = await asyncio.open_connection(HOST, port, limit=1)
        writer.write(body.request())
        writers.append(writer)
    await asyncio.sleep(seconds)
    for writer in writers:
        writer.transport.abort()


@dataclass(frozen=True)
class _Container:
    name: str
    http_port: int
    grpc_port: int


@contextlib.contextmanager
def _container(image: str, memory: str) -> Iterator[_Container]:
    http_port, grpc_port = reserve_port(), reserve_port()
    limit = memory.removesuffix("i")
    name = _docker(
        *("run", "--detach", f"--memory={limit}", f"--memory-swap={limit}", "--read-only"),
        *(f"--publish={HOST}:{http_port}:8080", f"--publish={HOST}:{grpc_port}:8081", image),
    )
    try:
        asyncio.run(_wait_ready(http_port))
        yield _Container(name, http_port, grpc_port)
    finally:
        _docker("rm", "--force", name)


async def _wait_ready(port: int) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while True:
        try:
            if (await ask_once(HOST, port, get("/v2/health/ready"))).status == 200:
                return
        except (LostError, OSError):
            pass
        if time.monotonic() > deadline:
            raise TimeoutError("the container does not get ready")
        await asyncio.sleep(0.1)


def _docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr.strip())
    return done.stdout.strip()
