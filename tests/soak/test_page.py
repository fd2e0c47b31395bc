"""The page of results."""

import re

import pytest

from harness.processes import ROOT
from soak import page
from soak.__main__ import SCENARIOS
from soak.scenario import Outcome, some

PAGE = """# Title

| setting | bounds |
|-|-|
| wait | time |

<!-- results -->
<!-- end of results -->

The end.
"""


@pytest.mark.slow
def test_a_row_is_replaced_and_others_are_kept() -> None:
    first = page.update(
        PAGE,
        {
            "drain": Outcome("all | that", "some\nfigures", held=True),
            "slow": Outcome("calm", "calm", held=True),
        },
    )
    assert r"| drain | all \| that | some figures | yes | " in first
    second = page.update(first, {"drain": Outcome("all", "less", held=False)})
    assert "| drain | all | less | **no** | " in second
    assert "| slow | calm | calm | yes | " in second
    assert second.count("| drain |") == second.count("| scenario |") == 1
    assert second.count("| setting |") == second.count("| wait |") == 1
    assert second.endswith("The end.\n")


def test_the_page_tells_of_every_scenario() -> None:
    told = (ROOT / "docs/reliability.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^## `(\w+)`", told, re.MULTILINE)) == set(SCENARIOS)


def test_one_of_many_is_told() -> None:
    assert some([]) == "0"
    assert some(["lost", "reset"]) == "2 (the first: lost)"
