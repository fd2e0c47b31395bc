"""The settings, from texts, and what they do to the candidates."""

from dataclasses import fields
from typing import Any

import pytest
from sklearn.pipeline import Pipeline

from tests.training import samples
from tests.training.conftest import Run
from training import settings
from training.candidates import candidates
from training.dataset import build
from training.errors import TrainingError
from training.settings import Settings


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("target", " price ", "price"),
        ("features", "area, age,", ("area", "age")),
        ("features", '["area", "rent, cold"]', ("area", "rent, cold")),
        ("features", "[1]", ("[1]",)),
        ("name", "flats", "flats"),
        ("task", "classification", "classification"),
        ("seed", "4294967295", 2**32 - 1),
        ("candidates", "linear,forest", ("linear", "forest")),
        ("n_estimators", "5000", 5000),
        ("max_depth", "64", 64),
        ("min_samples_leaf", "1", 1),
        ("learning_rate", "5e-2", 0.05),
        ("subsample", "1", 1.0),
        ("max_features", "0.5", 0.5),
        ("max_features", "sqrt", "sqrt"),
    ],
)
def test_a_text_is_read(name: Any, text: Any, value: Any) -> None:
    assert settings.read({name: text}) == Settings(**{name: value})


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("task", "clustering", "regression or classification"),
        ("seed", "-1", "a whole number from 0 to 4294967295"),
        ("candidates", "linear,svm", "one or more of linear, polynomial, logistic, forest, boost"),
        ("n_estimators", "0", "a whole number from 1 to 5000"),
        ("n_estimators", "5001", "a whole number from 1 to 5000"),
        ("n_estimators", "ten", "a whole number from 1 to 5000"),
        ("n_estimators", "1_0", "a whole number from 1 to 5000"),
        ("learning_rate", "0.1_0", "a number above 0, up to 1"),
        ("max_depth", "2.5", "a whole number from 1 to 64"),
        ("min_samples_leaf", "0", "a whole number from 1 to 10000"),
        ("learning_rate", "0", "a number above 0, up to 1"),
        ("subsample", "1.01", "a number above 0, up to 1"),
        ("subsample", "nan", "a number above 0, up to 1"),
        ("max_features", "cube", "a number above 0, up to 1 or sqrt or log2"),
    ],
)
def test_what_is_not_expected_is_told(name: str, text: str, expected: str) -> None:
    with pytest.raises(TrainingError) as told:
        settings.read({name: text})
    assert str(told.value).startswith(f"{name}: {text!r} is not {expected}")
    assert str(told.value).endswith("; correct it or leave it out")


def test_an_empty_text_is_as_good_as_none() -> None:
    assert settings.read({each.name: " " for each in fields(Settings)}) == Settings()


def test_an_unknown_name_is_told_with_those_that_are_known() -> None:
    with pytest.raises(TrainingError, match=r"'trees' can't be set; what can is target, features,"):
        settings.read({"trees": "10"})


def test_the_command_line_has_each_of_them(run: Run) -> None:
    text = run("--help").stdout
    for setting in fields(Settings):
        assert f"--{setting.name.replace('_', '-')} " in text


TREES: dict[str, Any] = {
    "n_estimators": 7,
    "max_depth": 2,
    "min_samples_leaf": 4,
    "learning_rate": 0.2,
    "subsample": 0.5,
    "max_features": "sqrt",
}


@pytest.mark.parametrize(
    ("target", "features", "names"),
    [
        ("price", ["area"], ["Linear", "Polynomial", "Random forest", "Gradient boosting"]),
        (
            "price",
            ["area", "shape"],
            ["Linear", "Polynomial", "Random forest", "Gradient boosting"],
        ),
        ("class", ["area"], ["Logistic regression", "Random forest", "Gradient boosting"]),
    ],
)
def test_trees_take_what_they_have_of_the_settings(target: Any, features: Any, names: Any) -> None:
    dataset = build(samples.table(), target, features)
    found = {each.name: _last(each.estimator) for each in candidates(dataset, Settings(**TREES))}
    assert list(found) == names
    boosting = found["Gradient boosting"].get_params()
    forest = found["Random forest"].get_params()
    assert {name: boosting[name] for name in TREES} == TREES
    for name in ("n_estimators", "max_depth", "min_samples_leaf", "max_features"):
        assert forest[name] == TREES[name]


def test_a_setting_leaves_the_others_to_the_candidate() -> None:
    dataset = build(samples.table(), "price", ["area"])
    plain, tuned = (
        {each.name: each.estimator.get_params() for each in candidates(dataset, chosen)}
        for chosen in (Settings(), Settings(max_depth=5))
    )
    for name in ("Random forest", "Gradient boosting"):
        assert plain[name] | {"max_depth": 5} == tuned[name]
    assert plain["Random forest"]["n_estimators"] == 200


def test_only_those_named_compete() -> None:
    dataset = build(samples.table(), "class", ["area"])
    [found] = candidates(dataset, Settings(candidates=("forest",)))
    assert found.name == "Random forest"


def test_a_candidate_for_another_task_is_told() -> None:
    dataset = build(samples.table(), "class", ["area"])
    told = "candidates: 'linear' is not one for classification; choose from logistic, forest, boost"
    with pytest.raises(TrainingError, match=told):
        candidates(dataset, Settings(candidates=("forest", "linear")))


def _last(estimator: Any) -> Any:
    return estimator.steps[-1][1] if isinstance(estimator, Pipeline) else estimator
