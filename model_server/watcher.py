"""``python -I -S watcher.py TIMEOUT_S``: end the parent when no beat comes on standard input.

A script of `model_server.watchdog` that imports next to nothing: it takes three megabytes.
"""

import os
import select
import signal
import sys
import time

ENDS = signal.SIGALRM
"""Has the parent show its stacks and exit, with the signal's number as its status."""

_TICK_S = 0.25
_LAST_DUMP_S = 5.0
_STDIN, _STDERR = 0, 2


def watch(parent: int, timeout_s: float) -> None:
    """Wait until there is nothing to watch, or the parent has to be ended.

    Ticks are counted, not the time: those in which this process did not run, as its container or
    its machine was frozen, are one at most, and one in which the parent was stopped is none.
    """
    silent_s = 0.0
    while silent_s < timeout_s:
        if select.select([_STDIN], [], [], _TICK_S)[0]:
            if not os.read(_STDIN, 4096):
                return
            silent_s = 0.0
        elif not _stopped(parent):
            silent_s += _TICK_S
    _tell(f"the event loop has stood still for {timeout_s:g} s; the process ends, and shows where")
    os.kill(parent, ENDS)
    if not select.select([_STDIN], [], [], _LAST_DUMP_S)[0]:
        os.kill(parent, signal.SIGKILL)


def _stopped(pid: int) -> bool:
    """Tell whether a signal or a debugger has stopped a process."""
    with open(f"/proc/{pid}/stat", "rb") as status:  # noqa: PTH123 - pathlib takes a megabyte
        return status.read().rpartition(b")")[2].split()[0] in (b"T", b"t")


def _tell(message: str) -> None:
    now = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
    line = f'{{"level":"CRITICAL","logger":"model_server","message":"{message}","time":"{now}"}}\n'
    try:
        os.write(_STDERR, line.encode())
    except OSError:  # nobody reads
        return


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    watch(os.getppid(), float(sys.argv[1]))
