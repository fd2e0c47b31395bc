"""The process that keeps the workers: it forks them, replaces those that end, and stops all."""

import contextlib
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing import connection
from multiprocessing.connection import Connection, Pipe
from time import monotonic
from typing import Any, NoReturn

from model_server import forks
from model_server.errors import ModelServerError, RequestError
from model_server.fleet.siblings import Answer, Answers, Question, Serving
from model_server.metrics import WORKERS_LOST
from model_server.ports import Ports

log = logging.getLogger("model_server")

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_HELD = (*_SIGNALS, forks.STOP)
"""They wait while a process is forked, until it knows what to do at them."""

_PAUSE_S = 1.0
"""How long a place stays empty whose worker has ended, so that no fault keeps all at starting."""

_LOOK_S = 0.5
"""How often it is looked whether one is to be forked, or an answer no longer waited for."""


@dataclass
class _Worker:
    pid: int
    place: int
    connection: Connection


@dataclass
class _Round:
    """A question that was passed on, and what has been answered."""

    asker: Connection
    question: Question
    waiting: set[int]
    values: list[Any] = field(default_factory=list)
    late_s: float | None = None


class Supervisor:
    """Forks a worker for each of some ports and keeps them there until it is told to stop.

    Parameters
    ----------
    ports : sequence of Ports
        Those of each worker.
    serve : callable
        What a worker does with its ports and the way to this process; it returns its exit status.
    keep_up : callable
        What this process does before all are asked, so that workers that are forked later begin
        with it: called with what they are asked, and what about.
    """

    def __init__(
        self,
        ports: Sequence[Ports],
        serve: Callable[[Ports, Connection], int],
        keep_up: Callable[[str, str], None],
    ) -> None:
        self._ports = ports
        self._serve = serve
        self._keep_up = keep_up
        self._workers: dict[int, _Worker] = {}
        self._empty: dict[int, float] = {}
        self._rounds: dict[int, _Round] = {}
        self._number = 0
        self._serving: list[dict[str, Any]] = []
        self._stopping = False

    def run(self, on_serving: Callable[[dict[str, Any]], None]) -> None:
        """Keep the workers until SIGTERM or SIGINT, which all are told, as is each one after it.

        Parameters
        ----------
        on_serving : callable
            Called with what the first worker tells, once all of them serve.

        Raises
        ------
        ModelServerError
            If one ends before all serve.
        """
        forks.share()
        for number in _SIGNALS:
            signal.signal(number, self._stop)
        try:
            for place in range(len(self._ports)):
                self._fork(place)
        except OSError as error:
            self._stop()
            problem = os.strerror(error.errno or 0)
            raise ModelServerError(f"no worker can be forked: {problem}; see --workers") from error
        while self._workers or (self._empty and not self._stopping):
            ready = connection.wait(
                [worker.connection for worker in self._workers.values()], _LOOK_S
            )
            for worker in list(self._workers.values()):
                if worker.connection in ready:
                    self._hear(worker, on_serving)
            self._bury_orphans()
            self._fill()
            self._wait_no_longer()

    def _fork(self, place: int) -> None:
        ours, theirs = Pipe()
        signal.pthread_sigmask(signal.SIG_BLOCK, _HELD)
        try:
            if self._stopping:
                return
            parent, pid = os.getpid(), os.fork()
            if not pid:
                self._become_worker(parent, place, ours, theirs)
            self._workers[pid] = _Worker(pid, place, ours)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD)
            theirs.close()

    def _become_worker(
        self, parent: int, place: int, ours: Connection, theirs: Connection
    ) -> NoReturn:
        status = 1
        try:
            signal.signal(forks.STOP, lambda *_: os._exit(0))
            for sig in _SIGNALS:  # they are the supervisor's, also where a whole group has them
                signal.signal(sig, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD)
            forks.end_with_parent(forks.STOP)
            ours.close()
            for worker in self._workers.values():
                worker.connection.close()
            for number, ports in enumerate(self._ports):
                if number != place:
                    ports.close()
            if os.getppid() == parent:
                status = self._serve(self._ports[place], theirs)
        except BaseException:  # noqa: BLE001 - it must not go on where the supervisor does
            traceback.print_exc()
        finally:
            with contextlib.suppress(Exception):
                logging.shutdown()
                sys.stderr.flush()
            os._exit(status)

    def _hear(self, worker: _Worker, on_serving: Callable[[dict[str, Any]], None]) -> None:
        try:
            message = worker.connection.recv()
        except (EOFError, OSError):
            self._bury(worker)
            return
        if isinstance(message, Question):
            self._ask_all(worker, message)
        elif isinstance(message, Answer):
            self._collect(worker, message)
        elif isinstance(message, Serving) and len(self._serving) < len(self._ports):
            self._serving.append(message.told)
            if len(self._serving) == len(self._ports):
                on_serving(self._serving[0])

    def _bury(self, worker: _Worker) -> None:
        """See how a worker has ended, and have its place filled again."""
        worker.connection.close()
        _, status = os.waitpid(worker.pid, 0)
        del self._workers[worker.pid]
        for number in [
            number for number, each in self._rounds.items() if worker.pid in each.waiting
        ]:
            self._rounds[number].waiting.discard(worker.pid)
            self._finish_if_done(number)
        code = os.waitstatus_to_exitcode(status)
        if self._stopping:
            if code:
                log.error("worker %d ended by %s while it stopped", worker.pid, _named(code))
            return
        if len(self._serving) < len(self._ports):
            self._stop()
            raise ModelServerError(
                f"a worker ended at its start by {_named(code)}; see the lines above"
            )
        WORKERS_LOST.inc()
        log.error(
            "worker %d ended by %s: what it was at has no answer; another takes its place",
            *(worker.pid, _named(code)),
        )
        self._empty[worker.place] = monotonic() + _PAUSE_S

    def _bury_orphans(self) -> None:
        """Let go of what an ended worker had started, where this is a container's first process."""
        with contextlib.suppress(ChildProcessError):
            while ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                if ended.si_pid in self._workers:
                    return
                os.waitpid(ended.si_pid, 0)

    def _fill(self) -> None:
        now_s = monotonic()
        for place in [place for place, due_s in self._empty.items() if due_s <= now_s]:
            if self._stopping:
                return
            try:
                self._fork(place)
            except OSError as error:
                log.error("no worker can be forked: %s", os.strerror(error.errno or 0))  # noqa: TRY400
                self._empty[place] = now_s + _PAUSE_S
            else:
                del self._empty[place]

    def _ask_all(self, asker: _Worker, question: Question) -> None:
        try:
            self._keep_up(question.what, question.about)
        except RequestError as error:
            _send(asker.connection, Answers(question.number, [error]))
            return
        self._number += 1
        late_s = None if question.patience_s is None else monotonic() + question.patience_s
        self._rounds[self._number] = _Round(
            asker.connection, question, set(self._workers), late_s=late_s
        )
        passed_on = replace(question, number=self._number)
        for worker in self._workers.values():
            _send(worker.connection, passed_on)

    def _collect(self, worker: _Worker, answer: Answer) -> None:
        if answer.number in self._rounds:
            self._rounds[answer.number].waiting.discard(worker.pid)
            self._rounds[answer.number].values.append(answer.value)
            self._finish_if_done(answer.number)

    def _wait_no_longer(self) -> None:
        now_s = monotonic()
        for number, each in list(self._rounds.items()):
            if each.late_s is not None and now_s > each.late_s:
                each.waiting.clear()
                self._finish_if_done(number)

    def _finish_if_done(self, number: int) -> None:
        if not self._rounds[number].waiting:
            done = self._rounds.pop(number)
            _send(done.asker, Answers(done.question.number, done.values))

    def _stop(self, *_: object) -> None:
        """Have all stop; at a second signal, at once."""
        if not self._stopping:
            self._stopping = True
            for ports in self._ports:
                ports.close()
        for pid in list(self._workers):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, forks.STOP)


def _send(to: Connection, message: Any) -> None:
    with contextlib.suppress(OSError):  # it has ended, which is seen elsewhere
        to.send(message)


def _named(code: int) -> str:
    return f"exit status {code}" if code >= 0 else signal.Signals(-code).name
