"""The server's side: estimators that predict in workers."""

import contextlib
import dataclasses
import logging
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import weakref
from collections import deque
from collections.abc import Sequence

from model_server.errors import BadRequest, ModelDirectoryError, Overran, WorkerLost
from model_server.model.columns import Instances
from model_server.model.directory import ModelDirectory
from model_server.model.manifest import Output
from model_server.model.outputs import Answers
from model_server.model.runtime import Estimator
from model_server.workers.channel import Channel
from model_server.workers.zygote import Failure, Load, Loaded, NotLoaded

log = logging.getLogger("model_server")


class Estimators:
    """What loads estimators, each into a keeper of its own.

    The zygote is started when the first is loaded.

    Parameters
    ----------
    n_workers : int
        How many predict at the same time, of each model.
    time_limit_s : float, optional
        After which a prediction is ended.
    """

    def __init__(self, n_workers: int, time_limit_s: float | None) -> None:
        self._n_workers = n_workers
        self._time_limit_s = time_limit_s
        self._lock = threading.Lock()
        self._zygote: _Zygote | None = None
        self._loaded: weakref.WeakSet[EstimatorProcesses] = weakref.WeakSet()

    def load(
        self, directory: ModelDirectory, outputs: Sequence[Output] | None = None
    ) -> "EstimatorProcesses":
        """Load the estimator of a checked model directory; see `estimator_runtime.load_estimator`.

        Raises
        ------
        ModelDirectoryError
        """
        keeper, pid = self._fork()
        model = pickle.PickleBuffer(directory.model)
        try:
            keeper.send(Load(dataclasses.replace(directory, model=b""), outputs, model))
            told = keeper.receive()
        except (EOFError, OSError) as error:
            keeper.close()
            raise ModelDirectoryError(
                directory.path,
                directory.model_file,
                "ended the process that was to load it",
                "see the lines above, and whether there is memory for it",
            ) from error
        if isinstance(told, NotLoaded):
            keeper.close()
            raise told.error from MemoryError() if told.for_memory else None
        log.debug("loaded into process %d", pid, extra={"model": directory.manifest.name})
        loaded = EstimatorProcesses(keeper, told, self._n_workers, self._time_limit_s)
        self._loaded.add(loaded)
        return loaded

    def rest(self) -> None:
        """End the workers that have nothing to do; to be called before this process is forked."""
        for estimator in self._loaded:
            estimator.rest()

    def close(self) -> None:
        """End the zygote, and with it all that it forked."""
        if self._zygote is not None:
            self._zygote.close()
            self._zygote = None

    def _fork(self) -> tuple[Channel, int]:
        with self._lock:
            if self._zygote is not None and not self._zygote.channel.open:
                self.close()
            if self._zygote is None:
                self._zygote = _Zygote()
            return _fork(self._zygote.channel)


class EstimatorProcesses(Estimator):
    """A scikit-learn estimator in processes of its own; a `Runtime`.

    Parameters
    ----------
    keeper : Channel
        To the process that has loaded it.
    told : Loaded
        What the estimator tells of itself.
    n_workers : int
    time_limit_s : float, optional
    """

    name = "scikit-learn"
    merges = False
    unpickles = True

    def __init__(
        self, keeper: Channel, told: Loaded, n_workers: int, time_limit_s: float | None
    ) -> None:
        self.classes, self.offered = told.classes, told.offered
        self.concurrency = n_workers
        self._time_limit_s = time_limit_s
        self._keeper = keeper
        self._lock = threading.Lock()
        self._idle: deque[tuple[Channel, int]] = deque()
        weakref.finalize(self, _forget, keeper, self._idle)

    def answer(self, X: Instances, names: Sequence[str]) -> Answers:
        """See `Runtime.answer`.

        Raises
        ------
        BadRequest
        Overran
        WorkerLost
        Exception
            What the estimator raised, by its name, with its traceback as a note.
        """
        worker, pid = self._worker()
        try:
            worker.send((X, names))
            answer = worker.receive(self._time_limit_s)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            worker.close()
            raise Overran(self._time_limit_s or 0) from None
        except (EOFError, OSError) as error:
            worker.close()
            raise WorkerLost(f"worker {pid} ended while it predicted") from error
        self._idle.append((worker, pid))
        if isinstance(answer, Failure):
            raise _raised(answer)
        if isinstance(answer, BadRequest):
            raise answer
        answers: Answers = answer
        return answers

    def rest(self) -> None:
        """End the workers that have nothing to do."""
        while self._idle:
            self._idle.popleft()[0].close()

    def _worker(self) -> tuple[Channel, int]:
        """Return one that is idle, or a new one."""
        while True:
            try:
                worker, pid = self._idle.popleft()
            except IndexError:
                break
            if worker.open:
                return worker, pid
            worker.close()
        with self._lock:
            return _fork(self._keeper)


class _Zygote:
    """A process of ``python -m model_server.workers``, and the way to it."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        self.channel = Channel(ours)
        with theirs:
            fd = theirs.fileno()
            self._process = subprocess.Popen(  # noqa: S603 - ourselves
                [sys.executable, "-m", "model_server.workers", str(fd)],
                pass_fds=[fd],
                stdin=subprocess.DEVNULL,
                process_group=0,  # a terminal's signals are the server's
            )

    def close(self) -> None:
        self.channel.close()
        self._process.wait()


def _fork(parent: Channel) -> tuple[Channel, int]:
    """Have a process forked; return the way to it and its number.

    Raises
    ------
    WorkerLost
        If that which would fork it has ended.
    """
    ours, theirs = socket.socketpair()
    channel = Channel(ours)
    try:
        with theirs:
            parent.give(theirs)
        pid: int = channel.receive()
    except (EOFError, OSError) as error:
        channel.close()
        raise WorkerLost("the process that keeps the model has ended") from error
    return channel, pid


def _forget(keeper: Channel, idle: deque[tuple[Channel, int]]) -> None:
    """Have the processes of a model that nobody asks any more end."""
    keeper.close()
    for worker, _ in idle:
        worker.close()


def _raised(failure: Failure) -> Exception:
    """Return what an estimator raised, under its own name, which clients and the log are told."""
    error: Exception = type(failure.kind, (Exception,), {})(failure.text)
    error.add_note(failure.traceback)
    return error
