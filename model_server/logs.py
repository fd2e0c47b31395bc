"""Logs: one JSON line a record, on standard error; none per request unless asked for."""

from typing import Any

FIELDS = "%(levelname)s %(name)s %(message)s"
NAMES = {"levelname": "level", "name": "logger"}


def config(level: str, *, access: bool) -> dict[str, Any]:
    """Return the configuration for ``logging.config.dictConfig``.

    KServe and uvicorn only speak of trouble: what they say at each start and each request is told
    once by this server.
    """
    level = level.upper()
    quiet = {"level": "DEBUG" if level == "DEBUG" else "WARNING"}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "json": {
                "()": "pythonjsonlogger.orjson.OrjsonFormatter",
                "fmt": FIELDS,
                "rename_fields": NAMES,
                "timestamp": "time",
            }
        },
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "stream": "ext://sys.stderr",
                "formatter": "json",
            }
        },
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            "kserve": quiet,
            "uvicorn": quiet,
            "uvicorn.access": {"level": "INFO" if access else "WARNING"},
        },
    }
