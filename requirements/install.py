"""Put the packages of a lock into a virtual environment, each by its hash.

``python3 requirements/install.py .venv requirements/run.txt`` needs nothing but Python: uv, where
it is not installed, comes from its own lock. ``--exactly`` takes away what the lock does not name.
"""

import argparse
import ast
import os
import re
import shutil
import subprocess
import sys
import time
import venv
from pathlib import Path

HERE = Path(__file__).parent
# What uv calls what may be configured for pip, whose configuration it does not read.
SETTINGS = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_EXTRA_INDEX_URL",
    "default-timeout": "UV_HTTP_TIMEOUT",
    "timeout": "UV_HTTP_TIMEOUT",
    "cert": "SSL_CERT_FILE",
}


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
    try:
        if not (chosen.venv / "bin/python").exists():
            venv.create(chosen.venv, symlinks=True)
        uv = _uv(chosen.venv)
        what = ("sync",) if chosen.exactly else ("install", "--requirement")
        subprocess.run(
            [uv, "pip", *what, chosen.lock, "--quiet", "--require-hashes", "--python", chosen.venv],
            env={**as_pip(), **os.environ},
            check=True,
        )
    except subprocess.CalledProcessError as error:
        _say(f"{chosen.venv}: {Path(error.cmd[0]).name} ended with status {error.returncode}")
        return 1
    _say(f"{chosen.venv}: ready after {time.monotonic() - begun:.0f} s")
    return 0


def as_pip() -> "dict[str, str]":
    """Return pip's configured index, certificates and time-out as uv's variables."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    )
    found = {}
    # By what counts least: for every command, for `pip install`, then the environment.
    for section in ("global", "install", ":env:"):
        for key, value in re.findall(rf"^{section}\.([\w-]+)=(.+)$", listed.stdout, re.MULTILINE):
            if key in SETTINGS:
                found[SETTINGS[key]] = str(ast.literal_eval(value)).replace("\n", " ").strip()
    return found


def _uv(folder: Path) -> str:
    """Return the path of uv: the user's, the environment's, or that which its lock names."""
    own = folder / "bin/uv"
    installed = shutil.which("uv")
    if installed is None and not own.exists():
        subprocess.run(
            [
                *(sys.executable, "-m", "pip", "--python", folder, "install", "--quiet"),
                *("--disable-pip-version-check", "--require-hashes"),
                *("--requirement", HERE / "uv.txt"),
            ],
            check=True,
        )
    return installed or str(own)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
