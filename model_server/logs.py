"""Logs: one JSON line a record, on standard error; none per request unless asked for.

Nobody waits for who reads them. A thread writes; what comes while it can't is dropped and counted.
"""

import faulthandler
import json
import logging
import logging.config
import os
import select
import stat
import threading
from typing import Any

from pythonjsonlogger.orjson import OrjsonFormatter
from typing_extensions import override

from model_server import threads
from model_server.metrics import LOG_DROPPED

FIELDS = "%(levelname)s %(name)s %(message)s"
NAMES = {"levelname": "level", "name": "logger"}

_STDERR = 2
_WAITING_BYTES = 1024**2
"""How much may wait to be written."""

_FLUSH_S = 1.0
"""How long the end of the process waits for that."""


def begin(level: str, *, access: bool) -> None:
    """Log from now on, a crash in native code as well.

    Parameters
    ----------
    level : str
        The least that is logged.
    access : bool
        Whether every request is.
    """
    _unblock()
    faulthandler.enable()
    logging.config.dictConfig(config(level, access=access))


def config(level: str, *, access: bool) -> dict[str, Any]:
    """Return the configuration for ``logging.config.dictConfig``.

    KServe only speaks of trouble: what it says at each start and each request is told once by this
    server.
    """
    level = level.upper()
    quiet = {"level": "DEBUG" if level == "DEBUG" else "WARNING"}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "json": {
                "()": JSONLine,
                "fmt": FIELDS,
                "rename_fields": NAMES,
                "timestamp": "time",
            }
        },
        "handlers": {"stderr": {"()": StandardError, "formatter": "json"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            "kserve": quiet,
            "model_server.access": {"level": "INFO" if access else "WARNING"},
        },
    }


class JSONLine(OrjsonFormatter):
    """Format a record as an object of JSON, also where a text in it is none in UTF-8."""

    @override
    def jsonify_log_record(self, log_data: dict[str, Any]) -> str:
        """Write the object."""
        try:
            return super().jsonify_log_record(log_data)
        except TypeError:  # the name of a file may be of any bytes
            return json.dumps(log_data, default=str)


def in_background() -> None:
    """Leave writing to a thread from now on; this process must not be forked then."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, StandardError):
            handler.start()


class StandardError(logging.Handler):
    """Write records to standard error, and once it is started from a thread of its own.

    A record for which there is no room beside those that wait is dropped, and so is one that can't
    be written.
    """

    def __init__(self) -> None:
        super().__init__()
        self._changed = threading.Condition()
        self._lines: list[bytes] = []
        self._waiting_bytes = 0
        self._started = False

    def start(self) -> None:
        """Start the thread."""
        self._started = True
        threads.start(self._write)

    @override
    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, or hand it to the thread."""
        try:
            line = self.format(record).encode() + b"\n"
        except Exception:  # noqa: BLE001 - as every handler of the standard library
            self.handleError(record)
            return
        if not self._started:
            _write_or_drop(line, 1)
            return
        with self._changed:
            if self._waiting_bytes + len(line) > _WAITING_BYTES:
                LOG_DROPPED.inc()
                return
            self._lines.append(line)
            self._waiting_bytes += len(line)
            self._changed.notify_all()

    @override
    def flush(self) -> None:
        """Wait, but not for long, until all is written."""
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting_bytes, _FLUSH_S)

    def _write(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._lines)
                lines, self._lines = self._lines, []
            text = b"".join(lines)
            _write_or_drop(text, len(lines), None)
            with self._changed:
                self._waiting_bytes -= len(text)
                self._changed.notify_all()


def _write_or_drop(text: bytes, n_lines: int, patience_s: float | None = _FLUSH_S) -> None:
    """Write lines; count those that nobody reads in time, or that can't be written."""
    left = memoryview(text)
    try:
        while left:
            try:
                left = left[os.write(_STDERR, left) :]
            except BlockingIOError:
                if not select.select([], [_STDERR], [], patience_s)[1]:
                    raise
    except OSError:
        LOG_DROPPED.inc(n_lines)


def _unblock() -> None:
    """Have no write to standard error wait, whoever writes: the watchdog, a library, a traceback.

    A pipe and a terminal are opened once more, as other processes have the same. A container's pipe
    may be another user's, which can't be opened, and a socket never can: what is left is to change
    it for all.
    """
    try:
        mode = os.fstat(_STDERR).st_mode
    except OSError:  # closed; the next file that is opened is not to take its place
        os.dup2(os.open(os.devnull, os.O_WRONLY), _STDERR)
        return
    if stat.S_ISREG(mode):
        return
    try:
        own = os.open(f"/proc/self/fd/{_STDERR}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        if not stat.S_ISCHR(mode):
            os.set_blocking(_STDERR, False)
        return
    os.dup2(own, _STDERR)
    os.close(own)
