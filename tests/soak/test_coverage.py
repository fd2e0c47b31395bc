"""Every fifteenth of the models that the coverage tells of: none is served worse than it says."""

import itertools
from pathlib import Path

import pytest

from harness.processes import ROOT
from soak.coverage import estimators, page, pipelines, sweep

ORDER = ("refused", "estimator", "graph")
EVERY = 15


@pytest.mark.slow
@pytest.mark.parametrize("title", ["Estimators", "Pipelines"])
@pytest.mark.filterwarnings("ignore")
def test_none_is_served_worse_than_it_was(title: str, tmp_path: Path) -> None:
    told = page.read((ROOT / "docs/coverage.md").read_text(encoding="utf-8"))[title]
    cases = estimators.cases() if title == "Estimators" else pipelines.cases()
    results = sweep.run(itertools.islice(cases, 0, None, EVERY), tmp_path)
    assert len(results) == -(-len(told) // EVERY)
    for result in results:
        assert not result.problems, result
        assert ORDER.index(result.runtime) >= ORDER.index(told[result.name]), result


def test_the_page_tells_what_was_found() -> None:
    found = [
        sweep.Result("A | b", "graph", answers=3),
        sweep.Result("c", "refused", "it | can't"),
        sweep.Result("d", "estimator", "no graph", ["v1: 1 of 2 labels differ"]),
    ]
    text = page.render({"Estimators": found, "Pipelines": found[:1]})
    assert "3: 1 from a graph, 1 from the estimator, 1 refused when" in text
    assert "1 wrong; 3 answers" in text
    assert "1 of 2 labels differ" in text
    read = page.read(text)
    assert read["Pipelines"] == {"A / b": "graph"}
    assert read["Estimators"]["c"] == "refused"
