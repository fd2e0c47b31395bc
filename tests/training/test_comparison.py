"""The choice among the candidates, and what is said about it."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.training import samples
from training.comparison import FOLDS, REPEATS, compare
from training.dataset import build
from training.evaluation import evaluate, interval
from training.settings import Settings

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def dataset() -> Any:
    return build(samples.table(80), "price", ["area"])


@pytest.fixture(scope="module")
def told() -> list[Any]:
    return []


@pytest.fixture(scope="module")
def comparison(dataset: Any, told: list[Any]) -> Any:
    return compare(dataset, Settings(), lambda *step: told.append(step))


def test_the_lowest_rmse_wins(comparison: Any) -> None:
    means = [result.mean("rmse") for result in comparison.results]
    assert means == sorted(means)
    assert comparison.chosen is comparison.results[0]
    assert means[-1] < comparison.baseline.mean("rmse")
    assert len(comparison.chosen.scores["rmse"]) == FOLDS * REPEATS


def test_progress_is_told_for_every_candidate(comparison: Any, told: list[Any]) -> None:
    assert len(told) == len(comparison.results) + 1
    assert told[0] == ("comparing: Linear", 0, 5)


def test_a_declared_direction_is_kept(dataset: Any, comparison: Any) -> None:
    assert comparison.chosen.candidate.name != "Random forest"
    rising = compare(replace(dataset, rising=("area",)), Settings(), lambda *_: None)
    assert rising.chosen.candidate.name == "Random forest"
    assert "can't fall as area rises" in rising.reason


def test_out_of_fold_predictions_are_worse_than_those_of_rows_fitted(
    dataset: Any, comparison: Any
) -> None:
    forest = next(each for each in comparison.results if each.candidate.name == "Random forest")
    fitted = forest.candidate.estimator.fit(dataset.X, dataset.y).predict(dataset.X)
    assert np.std(dataset.y - forest.predictions) > np.std(dataset.y - fitted)


def test_metrics_are_mean_and_spread_beside_the_baseline(dataset: Any, comparison: Any) -> None:
    metrics = evaluate(dataset, comparison).metrics
    values = comparison.chosen.scores["mae"]
    assert metrics["mae"].mean == pytest.approx(np.mean(values))
    assert metrics["mae"].std == pytest.approx(np.std(values, ddof=1))
    assert metrics["mae"].baseline == comparison.baseline.mean("mae")


@pytest.mark.parametrize(
    ("rows", "lower", "upper"), [(19, 1, 19), (20, 1, 20), (99, 5, 95), (506, 25, 482)]
)
def test_the_interval_takes_the_finite_sample_ranks(rows: Any, lower: Any, upper: Any) -> None:
    shuffled = np.random.default_rng(0).permutation(np.arange(1.0, rows + 1))
    found = interval(shuffled)
    assert (found.lower, found.upper) == (lower, upper)
    assert np.mean((shuffled >= lower) & (shuffled <= upper)) >= found.coverage
