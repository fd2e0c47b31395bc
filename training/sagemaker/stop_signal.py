"""A stop from outside, as an exception."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from training.errors import Stopped

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def stoppable() -> Iterator[Callable[[], None]]:
    """Raise `Stopped` on SIGTERM and Ctrl-C while the block runs, and ignore them afterwards.

    Yields
    ------
    callable
        Raises it again where it was swallowed on its way, as by a finalizer.
    """
    told: list[Stopped] = []

    def check() -> None:
        if told:
            raise told[0]

    def stop(number: int, _frame: FrameType | None) -> None:
        told.append(
            Stopped(
                f"stopped by {signal.Signals(number).name} before a model was finished; "
                "allow the job more time (MaxRuntimeInSeconds)"
            )
        )
        check()

    for number in _SIGNALS:
        signal.signal(number, stop)
    try:
        yield check
    finally:
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)
