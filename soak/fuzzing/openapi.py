"""Schemathesis over the OpenAPI document that a server hands out."""

import re
import subprocess
import sys
from pathlib import Path

_CONFIG = """
[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", 503]
"""
_ONE_MODEL = '[parameters]\n"path.model_name" = "rooms"\n'


def explore(url: str, folder: Path, *, examples: int, seed: int) -> tuple[int, list[str]]:
    """Call every operation with what its schema allows and what not.

    Parameters
    ----------
    url : str
        Of the server.
    folder : Path
        Empty; for the reports.
    examples : int
        For each operation, of each kind.
    seed : int

    Returns
    -------
    count : int
        Requests that were sent.
    failures : list of str
        The end of the report of a run that was answered with a 5xx other than 503.
    """
    count, failures = 0, []
    for name, config in (("any-name", _CONFIG), ("one-model", _ONE_MODEL + _CONFIG)):
        work = folder / name
        work.mkdir()
        (work / "schemathesis.toml").write_text(config, encoding="utf-8")
        command = [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json"),
            *("--checks", "not_a_server_error", "--max-examples", str(examples)),
            *("--phases", "examples,coverage,fuzzing", "--seed", str(seed)),
            *("--no-color", "--warnings", "off"),
        ]
        ended = subprocess.run(command, cwd=work, capture_output=True, text=True, check=False)
        generated = re.search(r"(\d+) generated", ended.stdout)
        count += int(generated[1]) if generated else 0
        if ended.returncode or not generated:
            failures.append(ended.stdout[-2000:] + ended.stderr[-2000:])
    return count, failures
