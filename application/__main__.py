"""``python -m application``: read the settings and serve until a signal."""

import logging
import signal
import sys

import uvicorn

from application import logs, settings
from application.site import create


def main() -> int:
    """Serve; return the exit status."""
    chosen = settings.parse(sys.argv[1:])
    logs.configure(chosen.log_level)
    config = uvicorn.Config(
        create(chosen),
        host=chosen.host,
        port=chosen.port,
        log_config=None,
        access_log=False,
        ws="none",
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=chosen.drain_timeout_s,
    )
    with config.bind_socket() as listener:
        port = listener.getsockname()[1]
        logging.getLogger("application").info(
            "serving", extra={"port": port, "endpoint": str(chosen.endpoint)}
        )
        # uvicorn raises the signals that it was stopped by once more when it has stopped
        for stop in (signal.SIGINT, signal.SIGTERM):
            signal.signal(stop, lambda *_: sys.exit(0))
        uvicorn.Server(config).run(sockets=[listener])
    return 0


if __name__ == "__main__":
    sys.exit(main())
