"""``python -m application``: read the settings and serve until a signal."""

import logging
import sys

from application import logs, settings
from application.server import Server
from application.site import create
from model_server.errors import ModelServerError


def main() -> int:
    """Serve; return the exit status."""
    chosen = settings.parse(sys.argv[1:])
    logs.configure(chosen.log_level)
    try:
        Server(create(chosen), chosen).start()
    except ModelServerError as error:
        logging.getLogger("application").critical(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
