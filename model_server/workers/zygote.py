"""What runs in the processes that are forked: the zygote, a keeper for each model, its workers.

A keeper never predicts: the threads that OpenMP begins with are gone after a fork, and who waits
for them waits for ever.
"""

import contextlib
import dataclasses
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_server import forks, memory
from model_server.errors import BadRequest, ModelDirectoryError
from model_server.model.directory import ModelDirectory
from model_server.model.estimator_runtime import EstimatorRuntime, load_estimator
from model_server.model.manifest import Method, Output
from model_server.workers.channel import Channel, pack

_NICE = 10
"""The event loop, which works for all models, is before any of them: nine to one."""

_OOM_SCORE = 500
"""Where memory runs out, the kernel takes a worker before the server."""


@dataclass(frozen=True)
class Load:
    """What a keeper is told first: a checked directory, without its file, and that."""

    directory: ModelDirectory
    outputs: Sequence[Output] | None
    model: Any


@dataclass(frozen=True)
class Loaded:
    """That the estimator is there, and what it tells of itself."""

    classes: list[Any]
    offered: dict[str, Method]


@dataclass(frozen=True)
class NotLoaded:
    """Why it is not."""

    error: ModelDirectoryError
    for_memory: bool


@dataclass(frozen=True)
class Failure:
    """What an estimator raised in place of a prediction."""

    kind: str
    text: str
    traceback: str


def run(sock: socket.socket) -> None:
    """Fork a keeper for each socket that comes, until the server ends."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    memory.return_large_blocks()
    with contextlib.suppress(ImportError):
        import sklearn.base  # noqa: F401 - so that no keeper has to
    forks.share()
    _fork_for_each(Channel(sock), _keep)
    os._exit(0)  # there is nothing to tidy up


def _fork_for_each(channel: Channel, work: Callable[[Channel], None]) -> None:
    while True:
        try:
            sock = channel.take()
        except (EOFError, OSError):
            return
        _bury()
        if not os.fork():
            channel.close()
            _begin(work, Channel(sock))
        sock.close()


def _begin(work: Callable[[Channel], None], channel: Channel) -> None:
    """Do the work of a process that was just forked, and end it."""
    parent = os.getppid()
    forks.end_with_parent(signal.SIGKILL)
    try:
        if os.getppid() == parent:
            channel.send(os.getpid())
            work(channel)
    except (EOFError, OSError):  # the server has ended
        pass
    except BaseException:  # noqa: BLE001 - it must not go on where the parent does
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(0)


def _keep(channel: Channel) -> None:
    try:
        told: Load = channel.receive()
        directory = dataclasses.replace(told.directory, model=bytes(told.model))
        outputs = told.outputs
        del told
        estimator = load_estimator(directory, outputs)
        del directory
    except ModelDirectoryError as error:
        channel.send(NotLoaded(error, isinstance(error.__cause__, MemoryError)))
        return
    forks.share()
    channel.send(Loaded(estimator.classes, estimator.offered))
    _fork_for_each(channel, lambda forked: _work(forked, estimator))


def _work(channel: Channel, estimator: EstimatorRuntime) -> None:
    with contextlib.suppress(OSError):
        os.nice(_NICE)
        Path("/proc/self/oom_score_adj").write_text(str(_OOM_SCORE), encoding="ascii")
    while True:
        X, names = channel.receive()
        try:
            answer = pack(estimator.answer(X, names))
        except BadRequest as error:
            answer = pack(error)
        except Exception as error:  # noqa: BLE001 - it is told where the answer is awaited
            answer = pack(Failure(type(error).__name__, str(error), traceback.format_exc()))
        channel.send_packed(answer)


def _bury() -> None:
    """Let go of the children that have ended."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
