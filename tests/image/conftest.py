from collections.abc import Iterator

import pytest

from tests.image.container import Container


@pytest.fixture
def containers() -> Iterator[list[Container]]:
    """Hold the containers that a test starts, and remove them."""
    started: list[Container] = []
    yield started
    for container in started:
        container.remove()
