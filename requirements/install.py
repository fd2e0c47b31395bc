"""Put the packages of a lock into a virtual environment, each by its hash.

``python3 requirements/install.py .venv requirements/run.txt`` needs nothing but Python.
``--exactly`` takes away what the lock does not name.
"""

import argparse
import re
import subprocess
import sys
import time
from pathlib import Path

import uv_as_pip


def main() -> int:
    """Run a command line; return the exit status."""
    parser = argparse.ArgumentParser(prog="install.py", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("venv", type=Path, help="the virtual environment, made where it is missing")
    parser.add_argument("lock", type=Path, help="such as requirements/run.txt")
    parser.add_argument("--exactly", action="store_true", help="take away what is not in the lock")
    chosen = parser.parse_args()
    begun = time.monotonic()
    named = len(re.findall(r"^[\w.-]+==", chosen.lock.read_text(), re.MULTILINE))
    _say(f"{chosen.venv}: {named} packages of {chosen.lock}, each by its hash")
    what = ("sync",) if chosen.exactly else ("install", "--requirement")
    try:
        uv_as_pip.run(chosen.venv, "pip", *what, chosen.lock, "--quiet", "--require-hashes")
    except subprocess.CalledProcessError as error:
        _say(f"{chosen.venv}: {Path(error.cmd[0]).name} ended with status {error.returncode}")
        return 1
    _say(f"{chosen.venv}: ready after {time.monotonic() - begun:.0f} s")
    return 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
