"""Run uv with the index, certificates and time-out that pip is configured with.

``python3 requirements/uv_as_pip.py .venv pip list`` needs nothing but Python: uv, where it is not
installed, is put into the virtual environment from its own lock.
"""

import ast
import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

LOCK = Path(__file__).parent / "uv.txt"
# What uv calls what may be configured for pip, whose configuration it does not read.
SETTINGS = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_EXTRA_INDEX_URL",
    "default-timeout": "UV_HTTP_TIMEOUT",
    "timeout": "UV_HTTP_TIMEOUT",
    "cert": "SSL_CERT_FILE",
}


def run(folder: Path, *arguments: "str | Path") -> None:
    """Run uv on a virtual environment, which is made where it is missing.

    Raises
    ------
    subprocess.CalledProcessError
        If uv, or pip on its behalf, fails.
    """
    if not (folder / "bin/python").exists():
        venv.create(folder, symlinks=True)
    subprocess.run(
        [_uv(folder), *arguments],
        env={**as_pip(), **os.environ, "VIRTUAL_ENV": str(folder.absolute())},
        check=True,
    )


def as_pip() -> "dict[str, str]":
    """Return pip's settings as uv's variables."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    )
    found = {}
    # By what counts least: for every command, for `pip install`, then the environment.
    for section in ("global", "install", ":env:"):
        for key, value in re.findall(rf"^{section}\.([\w-]+)=(.+)$", listed.stdout, re.MULTILINE):
            if key in SETTINGS:
                found[SETTINGS[key]] = " ".join(str(ast.literal_eval(value)).split())
    return found


def _uv(folder: Path) -> str:
    """Return the path of uv: the user's, or that which its lock names."""
    own = folder / "bin/uv"
    installed = shutil.which("uv")
    if installed is None and not own.exists():
        subprocess.run(
            [
                *(sys.executable, "-m", "pip", "--python", folder, "install", "--quiet"),
                *("--disable-pip-version-check", "--require-hashes", "--requirement", LOCK),
            ],
            check=True,
        )
    return installed or str(own)


def main() -> int:
    """Run a command line of uv; return its exit status."""
    folder, *arguments = sys.argv[1:]
    try:
        run(Path(folder), *arguments)
    except subprocess.CalledProcessError as error:
        return error.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
