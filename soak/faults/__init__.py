"""Faults by system: the n-th call of a kind fails under a mixed load, for one n after the other.

In the manner of SQLite's tests. Every answer that comes is right or an error, in time; afterwards
the server answers as before, with the newest token as well, and holds nothing of what is over; or
it has ended with a status and a line that tell.
"""

import asyncio
import errno
import logging
import signal
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from harness.processes import ServerProcess, StartError
from soak.faults.mixed_load import TOKEN, MixedLoad
from soak.faults.shim import ANYWHERE, FILES, SOCKETS, Fault, Shim
from soak.scenario import Outcome, some

log = logging.getLogger("soak")

_ERRORS = {
    "accept": tuple((code, ANYWHERE) for code in (errno.ECONNABORTED, errno.EINTR, errno.EMFILE)),
    "read": (
        *((errno.ECONNRESET, SOCKETS), (errno.EIO, FILES)),
        *((errno.EINTR, SOCKETS), (errno.EINTR, FILES), (errno.ETIMEDOUT, SOCKETS)),
    ),
    "write": (
        *((errno.EPIPE, SOCKETS), (errno.ENOSPC, FILES), (errno.EINTR, SOCKETS)),
        *((errno.ECONNRESET, SOCKETS), (errno.EIO, FILES), (errno.ENOBUFS, SOCKETS)),
    ),
    "mmap": ((errno.ENOMEM, ANYWHERE),),
    "open": tuple((code, ANYWHERE) for code in (errno.EMFILE, errno.EIO, errno.ENOMEM)),
    "allocation": ((errno.ENOMEM, ANYWHERE),),
}
"""Plausible errors of each kind of call."""

_RECOVERY_S = 10
_ROUNDS = 500
_NO_CALLS = 5
"""After so many rounds without a call of the kind there will be none."""

_NOT_MET = 3
"""When so many numbers in a row are not met, higher ones are not either."""

_STUCK_S = 2


@dataclass
class Tally:
    """What became of the faults, the requests and the servers."""

    faults: Counter[str] = field(default_factory=Counter)
    not_met: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)
    exits: Counter[str] = field(default_factory=Counter)
    stops: int = 0
    wrong: list[str] = field(default_factory=list)

    def seen(self) -> str:
        """Tell it in one clause."""
        faults = ", ".join(f"{count:,} {kind}" for kind, count in self.faults.items())
        answered = ", ".join(f"{count:,} {what}" for what, count in self.answered.items())
        exits = ", ".join(f"{count} by {kind}" for kind, count in self.exits.items()) or "none"
        return (
            f"{self.faults.total():,} faults ({faults}), {self.not_met.total()} more not met; "
            f"requests meanwhile: {answered}; wrong: {some(self.wrong)}; "
            f"exits with a line: {exits}; "
            f"{self.stops} stops lived through"
        )


def run(
    models: Path,
    folder: Path,
    *,
    numbers: Iterable[int] = range(1, 501),
    start_numbers: Iterable[int] = range(1, 501),
    kinds: Iterable[str] = tuple(_ERRORS),
    stops: int = 10,
) -> Outcome:
    """Fail calls of a server, one at a time, while it serves, and others while it starts.

    Parameters
    ----------
    models : Path
        Trained model directories, ``rooms`` among them.
    folder : Path
        Empty.
    numbers, start_numbers : iterable of int
        Which call of each kind fails while it serves, and while it starts.
    kinds : iterable of str
    stops : int
        How often a server is stopped for longer than its event loop may stand still.
    """
    tally = Tally()
    numbers, start_numbers, kinds = list(numbers), list(start_numbers), list(kinds)
    trial = Trial(models, folder, tally)
    for kind in kinds:
        asyncio.run(trial.while_serving(list(_faults(kind, numbers))))
        log.info("faults: %s: %s", kind, tally.seen())
    for kind in kinds:
        trial.while_starting(_faults(kind, start_numbers))
        log.info("faults: %s at the start: %s", kind, tally.seen())
    if stops:
        trial.while_stopped(stops)
    return Outcome(
        asked="the n-th call of each kind fails under a mixed load: what is answered is right or "
        "an error, in time, and afterwards the server is as before or has ended with a line; "
        "a stop is no fault",
        seen=tally.seen(),
        held=not tally.wrong,
    )


def _faults(kind: str, numbers: Iterable[int]) -> Iterator[Fault]:
    errors = _ERRORS[kind]
    for position, number in enumerate(numbers):
        error, where = errors[position % len(errors)]
        yield Fault(kind, number, error, where)


class Trial:
    """Servers that calls fail of.

    Parameters
    ----------
    models : Path
    folder : Path
        For the library, the tokens and the logs.
    tally : Tally
    """

    def __init__(self, models: Path, folder: Path, tally: Tally) -> None:
        self._shim = Shim(folder)
        self._tally = tally
        self._unmet = 0
        self._tokens = folder / "tokens"
        flags = [
            *("--token-file", str(self._tokens), "--repository-api"),
            *("--access-log", "--health-interval-s", "1"),
        ]
        environment = self._shim.environment
        self._server = ServerProcess(models, *flags, log=folder / "log", environment=environment)
        watched = ("--stuck-timeout-s", str(_STUCK_S))
        self._stopped = ServerProcess(models, *watched, log=folder / "stopped.log")

    async def while_serving(self, faults: list[Fault]) -> None:
        """Set one fault after the other, on one server for as long as it lives."""
        waiting = iter(faults)
        fault = next(waiting, None)
        self._unmet = 0
        while fault is not None and self._unmet < _NOT_MET:
            self._shim.clear()
            self._tokens.write_text(f"{TOKEN}\n")
            await asyncio.to_thread(self._server.__enter__)
            try:
                load = MixedLoad(self._server.http_port, self._server.grpc_port, self._tokens)
                await load.learn()
                lives = True
                while fault is not None and lives and self._unmet < _NOT_MET:
                    lives = await self._lives_through(fault, load)
                    fault = next(waiting, None)
            finally:
                await asyncio.to_thread(self._server.__exit__)
            self._tally.answered += load.answered

    async def _lives_through(self, fault: Fault, load: MixedLoad) -> bool:
        """Set one fault; return whether the server goes on."""
        process = self._server.process
        self._shim.set(fault, process.pid)
        for rounds in range(1, _ROUNDS):
            await load.ask()
            none = rounds == _NO_CALLS and not self._shim.calls[fault.kind]
            if self._shim.failed or process.poll() is not None or none:
                break
        self._count(fault.kind)
        for wrong in load.wrong:
            self._blame(fault, wrong)
        load.wrong.clear()
        problem = await self._problem(load)
        if problem is not None and process.poll() is None:
            self._blame(fault, f"afterwards: {problem}")
        elif problem is not None:
            self._judge_exit(fault)
        return problem is None

    async def _problem(self, load: MixedLoad) -> str | None:
        """Return what still is not as before when it should be."""
        deadline = time.monotonic() + _RECOVERY_S
        while (problem := await load.recovered()) is not None:
            if time.monotonic() > deadline or self._server.process.poll() is not None:
                break
            await asyncio.sleep(0.05)
        return problem

    def while_starting(self, faults: Iterable[Fault]) -> None:
        """Start a server with each fault in turn: it serves, or ends with a line."""
        self._unmet = 0
        for fault in faults:
            if self._unmet < _NOT_MET:
                self._start(fault)

    def _start(self, fault: Fault) -> None:
        kind = f"{fault.kind} at the start"
        self._tokens.write_text(f"{TOKEN}\n")
        self._shim.set(fault)
        try:
            with self._server:
                self._count(kind)
                answer = self._server.client.get("/v2/health/ready")
                if answer.status_code != 200:
                    self._blame(fault, f"at the start: {answer.text}")
        except StartError as error:
            self._count(kind)
            if "does not serve" in error.reason:
                self._blame(fault, f"at the start: {error.reason}")
            else:
                self._judge_exit(fault)

    def _count(self, what: str) -> None:
        """Have no more calls fail, and count whether one has."""
        met = self._shim.failed
        self._shim.clear()
        (self._tally.faults if met else self._tally.not_met)[what] += 1
        self._unmet = 0 if met else self._unmet + 1

    def while_stopped(self, times: int) -> None:
        """Stop a server for longer than its event loop may stand still, and have it go on."""
        with self._stopped as server:
            for _ in range(times):
                server.process.send_signal(signal.SIGSTOP)
                time.sleep(2 * _STUCK_S)
                server.process.send_signal(signal.SIGCONT)
                if server.client.get("/v2/health/ready").status_code != 200:
                    self._tally.wrong.append("not ready after a stop")
                self._tally.stops += 1
            if server.stop() != 0:
                self._tally.wrong.append("ended after a stop")

    def _blame(self, fault: Fault, wrong: str) -> None:
        self._tally.wrong.append(f"{fault}: {wrong}")
        log.info("faults: WRONG: %s", self._tally.wrong[-1])

    def _judge_exit(self, fault: Fault) -> None:
        status = self._server.process.wait()
        lines = self._server.log.read_text(errors="replace").splitlines()
        told = [line for line in lines if '"level":"INFO"' not in line]
        if status == 0 or not told:
            self._blame(fault, f"ended with status {status} and {told}")
        else:
            self._tally.exits[fault.kind] += 1
            crash = next((line for line in told if not line.startswith("{")), told[-1])
            log.info("faults: %s: status %d: %s", fault, status, crash[:200])
