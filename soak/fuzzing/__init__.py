"""Hostile input: to the readers, and to a server over HTTP, bare TCP and gRPC."""

import asyncio
import json
from pathlib import Path

import numpy as np

from harness.processes import ServerProcess, serve
from model_server.model import directory as model_directory
from model_server.model import loading
from model_server.model.directory import ModelDirectory
from soak.fuzzing import bodies, decoding, garbage, openapi, tensors
from soak.scenario import Outcome

_GROWTH_MB = 8.0
"""What the arenas of malloc and the bounded caches of header values may take after the warm-up: 5 %
of the server. At full size a leak of 15 bytes a request would be beyond it."""

_DECODED, _BODIES, _GARBAGE, _TENSORS = 0.4, 0.52, 0.03, 0.05


def run(
    models: Path, folder: Path, *, inputs: int = 1_000_000, examples: int = 40, seed: int = 0
) -> Outcome:
    """Send it all, and then ask for the golden rows.

    Parameters
    ----------
    models : Path
        Model directories, among them rooms and boston.
    folder : Path
        Empty; keeps the server's log and what failed.
    inputs : int
        To the readers alone, as mutated bodies, as no HTTP at all and over gRPC.
    examples : int
        Of schemathesis, besides, for each operation.
    seed : int
    """
    failures = decoding.explore(int(_DECODED * inputs))
    artifacts = [model_directory.read(directory) for directory in model_directory.find(models)]

    async def attack() -> tuple[int, float]:
        async with serve(models, log=folder / "log") as server:
            called, failed = await asyncio.to_thread(
                openapi.explore, server.url, folder, examples=examples, seed=seed
            )
            sender = _Senders(server, artifacts, inputs, seed)
            await sender.send(0.1)
            warm_mb = server.rss_mb
            await sender.send(0.9)
            grown_mb = server.rss_mb - warm_mb
            golden = await asyncio.to_thread(_ask_golden, server, artifacts)
            failures.extend([*failed, *sender.failures, *golden])
            return called, grown_mb

    called, grown_mb = asyncio.run(attack())
    (folder / "failures.txt").write_text("\n".join(failures), encoding="utf-8")
    return Outcome(
        asked="no 5xx, crash, hang or wrong reading under hostile input, and memory flat",
        seen=f"{inputs + called:,} inputs, {called:,} of them by schemathesis: {len(failures)} "
        f"failures{f' ({failures[0][:500]})' if failures else ''}, RSS {grown_mb:+.1f} MB after "
        "the first tenth",
        held=not failures and grown_mb <= _GROWTH_MB,
    )


_Sender = bodies.Sender | garbage.Sender | tensors.Sender


class _Senders:
    """All that send to a server, each its share of the inputs."""

    def __init__(
        self, server: ServerProcess, artifacts: list[ModelDirectory], inputs: int, seed: int
    ) -> None:
        self._shares: list[tuple[_Sender, float]] = [
            (bodies.Sender(server.http_port, bodies.sound(artifacts), seed), _BODIES * inputs),
            (garbage.Sender(server.http_port, seed), _GARBAGE * inputs),
            (tensors.Sender(server.grpc_port, seed), _TENSORS * inputs),
        ]

    async def send(self, part: float) -> None:
        """Send a part of each share."""
        for sender, count in self._shares:
            await sender.send(int(part * count))

    @property
    def failures(self) -> list[str]:
        """What failed in all of them."""
        return [failure for sender, _ in self._shares for failure in sender.failures]


def _ask_golden(server: ServerProcess, artifacts: list[ModelDirectory]) -> list[str]:
    """Return the models that no longer answer their golden rows."""
    failures = []
    for each in artifacts:
        golden, name = each.manifest.golden, each.manifest.name
        body = json.dumps({"instances": golden.instances})
        answer = server.predict(name, body, "application/json")
        expected = np.array(golden.predictions)
        if answer.status_code != 200 or not loading.agree(
            np.array(answer.json()["predictions"]), expected, each.manifest.tolerance
        ):
            failures.append(f"golden rows of {name}: {answer.status_code} {answer.text[:300]}")
    return failures
