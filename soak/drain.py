"""Drain: servers are told to stop at random moments under load, and no request may be lost.

A request is lost if its connection was accepted, all of it was sent, and no whole answer with
status 200 came; also if a kept-alive connection ends without an answer that said ``Connection:
close``. Clients behave as behind a load balancer: they stop opening connections half a second after
the signal, which is less than the drain delay. A connection that the kernel took and the server
never did is reset when the listener closes. The drain delay is there so that there is none;
``late`` clients, who go on connecting to the end, are counted apart.
"""

import asyncio
import json
import logging
import random
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from kserve.protocol.grpc.grpc_predict_v2_pb2 import ModelInferRequest
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

from harness.http_client import Answer, Connection, LostError, ask_once, get, post
from harness.ports import HOST
from harness.processes import ServerProcess, serve
from soak.lanes import run_lanes
from soak.scenario import Outcome, some

log = logging.getLogger("soak")

_DRAIN_DELAY_S, _DRAIN_TIMEOUT_S = 1, 20
_LAG_S = 0.5
_ON_ITS_WAY_S = 0.1
"""A call that begins so shortly before the listener closes may come after it."""
_LONGEST_LOAD_S = 1.0
_LONGEST_PAUSE_S = 0.8
_FLAGS = (f"--drain-delay-s={_DRAIN_DELAY_S}", f"--drain-timeout-s={_DRAIN_TIMEOUT_S}")


@dataclass(frozen=True)
class Kind:
    """How some clients ask.

    Attributes
    ----------
    name : str
    clients : int
    rows : int
        Of each request.
    kept : bool
        Whether they keep their connection for the next request.
    parts : bool
        Whether they pause in the middle of each request.
    late : bool
        Whether they still connect when the load balancer would send them elsewhere.
    """

    name: str
    clients: int
    rows: int = 1
    kept: bool = True
    parts: bool = False
    late: bool = False


_KINDS = (
    Kind("kept-alive", clients=4),
    Kind("fresh", clients=3, kept=False),
    Kind("in two parts", clients=4, parts=True),
    Kind("large", clients=2, rows=5000),
    Kind("late", clients=2, kept=False, late=True),
)
_GRPC = "gRPC"
_GRPC_CLIENTS = 2
_NOT_SEEN = (grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE)


@dataclass
class Tally:
    """What became of the requests, and of the servers."""

    answered: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    late_refused: int = 0
    late_reset: int = 0
    late_calls: int = 0
    exits_s: list[float] = field(default_factory=list)
    bad_exits: list[str] = field(default_factory=list)

    def seen(self) -> str:
        """Tell it in one clause."""
        kinds = ", ".join(f"{count:,} {name}" for name, count in self.answered.items())
        return (
            f"{len(self.exits_s)} signals; {self.answered.total():,} requests answered ({kinds}), "
            f"{some(self.lost)} lost; of those who connected late {self.late_refused} refused and "
            f"{self.late_reset} reset, and {self.late_calls} gRPC calls that came late not seen; "
            f"{some(self.bad_exits)} bad exits, "
            f"the slowest after {max(self.exits_s, default=0):.1f} s"
        )


def run(
    models: Path, folder: Path, *, signals: int = 200, lanes: int = 2, seed: int = 6
) -> Outcome:
    """Stop that many servers, one after the other in each lane.

    Parameters
    ----------
    models : Path
        Trained model directories, ``boston`` among them.
    folder : Path
        For the servers' logs.
    signals : int
    lanes : int
        How many servers there are at a time.
    seed : int
        Of the moments and of the clients' pauses.
    """
    tally = Tally()

    async def stop(lane: int, rng: random.Random) -> None:
        await _stop_one(models, folder / f"drain-{lane}.log", rng, tally)
        if len(tally.exits_s) % 20 == 0:
            log.info("drain: %s", tally.seen())

    asyncio.run(run_lanes(signals, lanes, seed, stop))
    return Outcome(
        asked=f"{signals} SIGTERMs under load: no request lost that was accepted before the "
        "listener closed; exit status 0 within the grace period",
        seen=tally.seen(),
        held=not tally.lost and not tally.bad_exits,
    )


async def _stop_one(models: Path, path: Path, rng: random.Random, tally: Tally) -> None:
    async with serve(models, *_FLAGS, log=path) as server:
        traffic = Traffic(server, rng, tally)
        await traffic.prepare()
        async with asyncio.TaskGroup() as tasks:
            for kind in _KINDS:
                for _ in range(kind.clients):
                    tasks.create_task(traffic.ask(kind))
            for _ in range(_GRPC_CLIENTS):
                tasks.create_task(traffic.infer())
            await asyncio.sleep(rng.uniform(0, _LONGEST_LOAD_S))
            begun = time.monotonic()
            traffic.move(begun + _LAG_S, begun + _DRAIN_DELAY_S - _ON_ITS_WAY_S)
            server.process.send_signal(signal.SIGTERM)
            tasks.create_task(traffic.watch_readiness())
            status = await asyncio.to_thread(server.process.wait)
            tally.exits_s.append(time.monotonic() - begun)
        if status or tally.exits_s[-1] > _DRAIN_DELAY_S + _DRAIN_TIMEOUT_S:
            tally.bad_exits.append(f"status {status} after {tally.exits_s[-1]:.1f} s")


class Traffic:
    """The clients of one server.

    Parameters
    ----------
    server : ServerProcess
    rng : random.Random
    tally : Tally
        Where they count.
    """

    def __init__(self, server: ServerProcess, rng: random.Random, tally: Tally) -> None:
        self._server = server
        self._rng = rng
        self._tally = tally
        self._moves_at = float("inf")
        self._late_from = float("inf")
        self._bodies = {kind.rows: _body(kind.rows) for kind in _KINDS}
        self._expected: dict[int, Answer] = {}

    async def prepare(self) -> None:
        """Learn the right answers."""
        for rows in self._bodies:
            self._expected[rows] = await ask_once(
                HOST, self._server.http_port, self._request(rows, close=True)
            )

    def move(self, at: float, late_from: float) -> None:
        """Let no client connect from a time on, but the late ones; tell when a call may be late."""
        self._moves_at = at
        self._late_from = late_from

    async def ask(self, kind: Kind) -> None:
        """Be one client, until the server takes no connection or it should not be asked."""
        while kind.late or not self._moved():
            late = self._moved()
            try:
                connection = await Connection.open(HOST, self._server.http_port)
            except OSError as error:
                if late:
                    self._tally.late_refused += 1
                else:
                    self._tally.lost.append(f"{kind.name}: refused too early: {error}")
                return
            try:
                await self._ask_on(connection, kind)
            except LostError as error:
                if late:
                    self._tally.late_reset += 1
                else:
                    self._tally.lost.append(f"{kind.name}: {error}")
            finally:
                connection.close()
            await self._think()

    async def infer(self) -> None:
        """Be one gRPC client, until its connection was closed and the next one goes elsewhere."""
        tensor = ModelInferRequest.InferInputTensor(name="input-0", datatype="FP64", shape=[1, 1])
        tensor.contents.fp64_contents.append(6.5)
        request = ModelInferRequest(model_name="rooms", inputs=[tensor])
        async with grpc.aio.insecure_channel(f"{HOST}:{self._server.grpc_port}") as channel:
            infer = GRPCInferenceServiceStub(channel).ModelInfer
            while not self._moved() or channel.get_state() == grpc.ChannelConnectivity.READY:
                begun = time.monotonic()
                try:
                    await infer(request, timeout=_DRAIN_TIMEOUT_S)
                except grpc.aio.AioRpcError as error:
                    if error.code() in _NOT_SEEN and begun > self._late_from:
                        self._tally.late_calls += 1
                    else:
                        self._tally.lost.append(f"gRPC: {error.code().name}: {error.details()}")
                    return
                self._tally.answered[_GRPC] += 1
                await self._think()

    async def watch_readiness(self) -> None:
        """See it turn 503."""
        status = 200
        while status == 200:
            try:
                answer = await ask_once(HOST, self._server.http_port, get("/v2/health/ready"))
            except (OSError, LostError):
                self._tally.lost.append("readiness was not seen to turn 503")
                return
            status = answer.status

    async def _ask_on(self, connection: Connection, kind: Kind) -> None:
        request = self._request(kind.rows, close=False)
        while True:
            split = self._rng.randrange(1, len(request)) if kind.parts else 0
            pause_s = self._rng.uniform(0, _LONGEST_PAUSE_S)
            answer = await connection.ask(request, split, pause_s)
            if answer.status != 200 or answer.body != self._expected[kind.rows].body:
                raise LostError(f"status {answer.status}: {answer.body[:200]!r}")
            self._tally.answered[kind.name] += 1
            if answer.closes or not kind.kept:
                return
            await self._think()

    def _request(self, rows: int, *, close: bool) -> bytes:
        return post("/v1/models/boston:predict", self._bodies[rows], close=close)

    def _moved(self) -> bool:
        return time.monotonic() > self._moves_at

    async def _think(self) -> None:
        await asyncio.sleep(self._rng.uniform(0, 0.02))


def _body(rows: int) -> bytes:
    row = [0.25, 0, 5.1, 0, 0.5, 6.2, 60, 3.8, 4, 300, 18, 11]
    return json.dumps({"instances": [row] * rows}).encode()
