"""What a process does before it forks, and one that was forked before all else."""

import ctypes
import gc
import signal

STOP = signal.SIGUSR2
"""What tells a forked process to stop; nobody else sends it, so one to a group counts once."""

_PR_SET_PDEATHSIG = 1


def share() -> None:
    """Keep the collector from writing into what forks share, which would copy it."""
    gc.collect()
    gc.freeze()


def end_with_parent(sig: signal.Signals) -> None:
    """Have the system send this process a signal when the one that forked it has ended."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "prctl"):
        libc.prctl(_PR_SET_PDEATHSIG, sig)
