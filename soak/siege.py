"""Sieges: clients that say little hold what others need, and others are served all the same.

Each siege has a server of its own. Its clients connect, send what they have to say and no more;
then others ask on fresh connections, one after the other, and probes on the port of health.
"""

import contextlib
import logging
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from harness.certificates import Authority
from harness.http_client import JSON, post
from harness.ports import HOST
from harness.processes import ServerProcess
from soak.scenario import Outcome, some

log = logging.getLogger("soak")

_PREDICT = "/v1/models/rooms:predict"
_BODY = b'{"instances": [[6.5]]}'
_GOOD = post(_PREDICT, _BODY)
_TIMEOUT_S = 5.0
_PROBES_SHARE = 0.1


@dataclass(frozen=True)
class Siege:
    """What some clients do.

    Attributes
    ----------
    name : str
    connections : int
    sent : bytes
        By each of them.
    flags : tuple of str
        Of the server.
    secure : bool
        Whether it speaks TLS, for which these clients wait in vain.
    """

    name: str
    connections: int
    sent: bytes
    flags: tuple[str, ...] = ()
    secure: bool = False


def _announcing(length_bytes: int) -> bytes:
    head, _, _ = post(_PREDICT, b"").partition(b"\r\n\r\n")
    return head.replace(b"content-length: 0", b"content-length: %d" % length_bytes) + b"\r\n\r\n"


SIEGES = (
    Siege("request and empty line", 40, _GOOD + b"\r\n", ("--connections-limit=40",)),
    Siege("nothing at all", 40, b"", ("--connections-limit=40",)),
    Siege("half a head", 40, _GOOD[:20], ("--connections-limit=40",)),
    Siege("6 MiB announced", 11, _announcing(6 * 2**20)),
    Siege("a byte announced", 1024, _announcing(1)),
    Siege("no handshake", 700, b"", secure=True),
)


def run(models: Path, folder: Path, *, requests: int = 1000, times: float = 1.0) -> Outcome:
    """Lay every siege.

    Parameters
    ----------
    models : Path
        Trained model directories, ``rooms`` among them.
    folder : Path
        For the servers' logs and certificates.
    requests : int
        Of others, in each siege.
    times : float
        So many times the clients of each siege.
    """
    wrong: list[str] = []
    told = []
    for number, siege in enumerate(SIEGES):
        log.info("siege: %s", siege.name)
        connections = max(1, round(siege.connections * times))
        with _server(models, folder / str(number), siege) as server:
            wrong += [
                f"{siege.name}: {what}" for what in _lay(server, siege, connections, requests)
            ]
        told.append(f"{connections:,} of {siege.name}")
    return Outcome(
        asked="beside clients that say little and stay, every other request and every probe is "
        "answered with 200",
        seen=f"{', '.join(told)}: {requests * len(SIEGES):,} requests of others, {some(wrong)} not "
        "answered so",
        held=not wrong,
    )


@contextlib.contextmanager
def _server(models: Path, folder: Path, siege: Siege) -> Iterator[ServerProcess]:
    folder.mkdir()
    flags, authority = (*siege.flags, "--health-port=0", "--no-grpc"), None
    if siege.secure:
        signing = Authority(folder)
        certificate, key = folder / "certificate.pem", folder / "key.pem"
        signing.sign(certificate, key)
        flags += (f"--ssl-certfile={certificate}", f"--ssl-keyfile={key}")
        authority = signing.path
    with ServerProcess(models, *flags, log=folder / "log", authority=authority) as server:
        yield server


def _lay(server: ServerProcess, siege: Siege, connections: int, requests: int) -> Iterator[str]:
    """Yield what was not answered with 200."""
    headers = {"content-type": JSON, "connection": "close"}
    every = max(1, round(requests * _PROBES_SHARE))
    with contextlib.ExitStack() as besiegers:
        for _ in range(connections):
            client = besiegers.enter_context(
                socket.create_connection((HOST, server.http_port), _TIMEOUT_S)
            )
            client.sendall(siege.sent)
        for number in range(requests):
            try:
                answer = server.client.post(
                    _PREDICT, content=_BODY, headers=headers, timeout=_TIMEOUT_S
                )
                if answer.status_code != httpx.codes.OK:
                    yield f"status {answer.status_code}: {answer.text[:100]}"
                if number % every == 0:
                    probe = httpx.get(f"http://{HOST}:{server.health_port}/v2/health/live")
                    if probe.status_code != httpx.codes.OK:
                        yield f"probe: status {probe.status_code}"
            except httpx.TransportError as error:
                yield repr(error)
