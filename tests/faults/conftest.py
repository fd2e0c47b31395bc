import subprocess

import pytest

from tests.faults import namespaces


@pytest.fixture(scope="session")
def _namespaces() -> None:
    """Skip, loudly, where the system lets nobody make a mount namespace."""
    tried = subprocess.run(namespaces.TRIAL, capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"SKIPPED FOR WANT OF MOUNT NAMESPACES: {tried.stderr.strip()}")
