from pathlib import Path

import pytest

from tests.chart.helm_chart import CHART, HelmChart


@pytest.fixture
def chart(tmp_path: Path) -> HelmChart:
    return HelmChart(CHART, tmp_path)
