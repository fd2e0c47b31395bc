"""States: what the tests of the HTTP connection play, with many more examples."""

import logging
import os
import subprocess
import sys
from pathlib import Path

from harness.processes import ROOT
from soak.scenario import Outcome

log = logging.getLogger("soak")

_TEST = "tests/model_server/test_connection_machine.py"
_PROFILE = "soak"


def run(models: Path, folder: Path, *, profile: str = _PROFILE) -> Outcome:  # noqa: ARG001
    """Play them under a profile of Hypothesis that ``tests/conftest.py`` has.

    Parameters
    ----------
    models : Path
        Not used: no model is asked.
    folder : Path
        For what Hypothesis keeps.
    profile : str
    """
    command = (sys.executable, "-m", "pytest", "-q", _TEST)
    flags = (f"--hypothesis-profile={profile}",)
    environment = os.environ | {"HYPOTHESIS_STORAGE_DIRECTORY": str(folder)}
    ended = subprocess.run(
        [*command, *flags], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if ended.returncode:
        log.info("states: %s", ended.stdout)
    told = ended.stdout.strip().splitlines()[-1:]
    return Outcome(
        asked="whatever connections, handlers, time and the stop do: answers once and in order, "
        "as h11 reads them; all that is held is counted and given back; nobody stays for ever",
        seen=f"under the profile {profile}: {''.join(told)}",
        held=not ended.returncode,
    )
