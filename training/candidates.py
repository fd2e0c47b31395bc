"""The estimators that compete for each model, and the baseline they have to beat."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, PolynomialFeatures, StandardScaler

from training.dataset import Dataset
from training.errors import TrainingError
from training.settings import Settings

_PENALTIES = (0.001, 0.01, 0.1, 1.0, 10.0, 100.0)


@dataclass(frozen=True)
class Candidate:
    """An estimator not yet fitted, under the name that people read.

    Attributes
    ----------
    name : str
    estimator : object
    keeps_direction : bool
        Whether its predictions can't fall as a feature in ``Dataset.rising`` rises.
    """

    name: str
    estimator: Any
    keeps_direction: bool = False


def candidates(dataset: Dataset, settings: Settings) -> list[Candidate]:
    """Return the estimators to compare, each able to read the data set's inputs.

    Raises
    ------
    TrainingError
        If the settings name a candidate that is not one for the task.
    """
    make = _regressors if dataset.task == "regression" else _classifiers
    made = make(dataset, settings.seed)
    for name in settings.candidates:
        if name not in made:
            raise TrainingError(
                f"candidates: {name!r} is not one for {dataset.task}; choose from {', '.join(made)}"
            )
    return [
        Candidate(
            each.name,
            _encoded(_tuned(each.estimator, settings.trees), dataset),
            each.keeps_direction,
        )
        for name, each in made.items()
        if name in (settings.candidates or made)
    ]


def baseline(dataset: Dataset) -> Candidate:
    """Return the estimator that looks at no feature."""
    if dataset.task == "regression":
        return Candidate("Baseline: the mean", DummyRegressor())
    return Candidate("Baseline: the most frequent class", DummyClassifier(strategy="prior"))


def _regressors(dataset: Dataset, seed: int) -> dict[str, Candidate]:
    single = len(dataset.features) == 1
    strings = any(feature.type == "category" for feature in dataset.features)
    directions = [int(feature.name in dataset.rising) for feature in dataset.features]
    forest = RandomForestRegressor(
        n_estimators=200 if single else 100,
        min_samples_leaf=10 if single else 1,
        max_features=1.0 if single else 1 / 3,
        monotonic_cst=directions if any(directions) and not strings else None,
        random_state=seed,
    )
    boosting = GradientBoostingRegressor(
        n_estimators=200 if single else 300,
        learning_rate=0.05,
        max_depth=2 if single else 4,
        min_samples_leaf=10 if single else 3,
        max_features=None if single else 0.5,
        subsample=0.7,
        random_state=seed,
    )
    polynomial = make_pipeline(
        StandardScaler(),
        PolynomialFeatures(3 if single else 2, include_bias=False),
        StandardScaler(),
        RidgeCV(_PENALTIES),
    )
    return {
        "linear": Candidate("Linear", make_pipeline(StandardScaler(), RidgeCV(_PENALTIES))),
        "polynomial": Candidate("Polynomial", polynomial),
        "forest": Candidate("Random forest", forest, keeps_direction=not strings),
        "boosting": Candidate("Gradient boosting", boosting),
    }


def _classifiers(_: Dataset, seed: int) -> dict[str, Candidate]:
    logistic = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    forest = RandomForestClassifier(n_estimators=100, min_samples_leaf=2, random_state=seed)
    boosting = GradientBoostingClassifier(
        n_estimators=100, max_depth=3, subsample=0.7, random_state=seed
    )
    return {
        "logistic": Candidate("Logistic regression", logistic),
        "forest": Candidate("Random forest", forest),
        "boosting": Candidate("Gradient boosting", boosting),
    }


def _tuned(estimator: Any, trees: Mapping[str, Any]) -> Any:
    """Set what the estimator has of the settings of trees."""
    own = estimator.get_params()
    return estimator.set_params(**{name: value for name, value in trees.items() if name in own})


def _encoded(estimator: Any, dataset: Dataset) -> Any:
    strings = [feature for feature in dataset.features if feature.type == "category"]
    if not strings:
        return estimator
    encoder = OneHotEncoder(
        categories=[list(feature.categories) for feature in strings], sparse_output=False
    )
    numbers = [feature.name for feature in dataset.features if feature.type == "number"]
    columns = ColumnTransformer(
        [
            ("strings", encoder, [feature.name for feature in strings]),
            *([("numbers", "passthrough", numbers)] if numbers else []),
        ]
    )
    steps = estimator.steps if isinstance(estimator, Pipeline) else [("model", estimator)]
    return Pipeline([("columns", columns), *steps])
