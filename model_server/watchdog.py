"""The watchdog: it ends this process, and has it show where it is, when the event loop is stuck.

What is stuck may hold the interpreter's lock, so no Python of this process can find out; and the
timers that the system offers go on while a process is stopped, so one that is over says nothing. So
a small process counts (`model_server.watcher`), and what a signal from it starts is all in C.
"""

import ctypes
import faulthandler
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import IO, cast

from model_server import watcher

log = logging.getLogger("model_server")

_WATCHER = Path(watcher.__file__)


class Watchdog:
    """Ends the process when it has run for some time without a beat.

    Parameters
    ----------
    timeout_s : float
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        libc = ctypes.CDLL(None)
        libc.signal(int(watcher.ENDS), libc["_exit"])
        faulthandler.register(watcher.ENDS, chain=True)  # the stacks of all threads, then `_exit`
        self._watcher = self._start()

    def _start(self) -> subprocess.Popen[bytes] | None:
        command = [sys.executable, "-I", "-S", str(_WATCHER), str(self._timeout_s)]
        try:
            started = subprocess.Popen(  # noqa: S603 - a module of ours
                command,
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            log.warning("the event loop is not watched: no process starts (%s)", error.strerror)
            return None
        os.set_blocking(cast("IO[bytes]", started.stdin).fileno(), False)
        return started

    def beat(self) -> None:
        """Tell that the event loop goes on; to be called several times in `timeout_s`."""
        if self._watcher is None:
            return
        try:
            cast("IO[bytes]", self._watcher.stdin).write(b".")  # none where it has not run for long
        except OSError:
            self.close()
            log.warning("what watches the event loop has ended; it is started again")
            self._watcher = self._start()

    def close(self) -> None:
        """Watch no more."""
        if self._watcher is not None:
            self._watcher.kill()
            with self._watcher:
                pass
