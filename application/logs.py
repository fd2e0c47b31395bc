"""Logs: one JSON line a record, on standard error; none per request."""

import logging
import sys

from pythonjsonlogger.json import JsonFormatter


def configure(level: str) -> None:
    """Log from `level` on; connections and httpx only speak of trouble."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        JsonFormatter(
            "%(levelname)s %(name)s %(message)s",
            rename_fields={"levelname": "level", "name": "logger"},
            timestamp="time",
        )
    )
    logging.basicConfig(level=level.upper(), handlers=[handler])
    for library in ("model_server", "httpx"):
        logging.getLogger(library).setLevel("WARNING")
