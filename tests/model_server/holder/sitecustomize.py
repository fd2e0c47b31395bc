"""Python imports this at its start where `tests.model_server.held` has put it on the path.

A thread holds the interpreter's lock from the moment on in which a file is there.
"""

import ctypes
import os
import re
import threading
import time
from pathlib import Path


def _hold() -> None:
    while not Path(os.environ["HOLD_FROM"]).exists():
        time.sleep(0.01)
    if os.environ["HOLD_BY"] == "work":
        re.match("(a|aa)+$", "a" * 200 + "b")
    else:
        ctypes.PyDLL(None).sleep(3600)


if "HOLD_FROM" in os.environ:
    threading.Thread(target=_hold, daemon=True).start()
