"""Pipelines as teams have them: numbers, labels, texts, truths and dates, some of them missing."""

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from catboost import CatBoostClassifier, CatBoostRegressor
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    VotingRegressor,
)
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.feature_selection import SelectKBest
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge, SGDClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.naive_bayes import GaussianNB, MultinomialNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import (
    KBinsDiscretizer,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
    TargetEncoder,
)
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier
from xgboost import XGBClassifier, XGBRegressor

from soak.coverage.case import Case, Container, split

NUMBERS, LABELS = ["age", "fare"], ["sex", "port"]
N_ROWS = 200


def passengers(*, missing: bool = True) -> tuple[pd.DataFrame, Any]:
    """Return a made-up table such as that of the Titanic, and who survived."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "age": rng.uniform(1, 80, N_ROWS).round(1),
            "fare": rng.gamma(2, 20, N_ROWS).round(2),
            "sex": rng.choice(["female", "male"], N_ROWS),
            "port": rng.choice(["C", "Q", "S"], N_ROWS),
            "alone": rng.integers(0, 2, N_ROWS).astype(bool),
            "siblings": rng.integers(0, 5, N_ROWS),
        }
    )
    survived = np.where((frame.sex == "female") ^ (frame.fare > 60), "yes", "no")
    if missing:
        frame.loc[::7, "age"] = np.nan
        frame.loc[::11, "port"] = np.nan
    return frame, survived


def reviews() -> tuple[pd.DataFrame, Any]:
    """Return texts and what is thought in them."""
    rng = np.random.default_rng(0)
    words = ["film", "plot", "actor", "scene", "music", "Ending", "très", "fine"]
    kinds = rng.integers(0, 2, N_ROWS)
    texts = [
        f"A {('dull', 'great')[kind]} {' '.join(rng.choice(words, 5))}, {('pain', 'joy')[kind]}!"
        for kind in kinds
    ]
    return pd.DataFrame({"text": texts}), np.array(["bad", "good"])[kinds]


def cases() -> Iterator[tuple[str, Case | None]]:
    """Yield each pipeline, fitted."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for found in (_mixed(), _of_texts(), _of_numbers(), _odd_ones(), _of_others()):
            for name, estimator, (frame, y), container in found:
                yield name, split(name, estimator, frame, y, container)


Found = Iterator[tuple[str, Any, tuple[pd.DataFrame, Any], Container]]


def _columns(numbers: Any, labels: Any) -> ColumnTransformer:
    return ColumnTransformer(
        [("numbers", numbers, NUMBERS), ("labels", labels, LABELS)], remainder="passthrough"
    )


def _mixed() -> Found:
    table, whole = passengers(), passengers(missing=False)
    median = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    often = SimpleImputer(strategy="most_frequent")
    one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    usual = _columns(median, make_pipeline(often, one_hot))
    models = {
        "logistic": LogisticRegression(max_iter=1000),
        "forest": RandomForestClassifier(20, random_state=0),
        "extra trees": ExtraTreesClassifier(20, random_state=0),
        "tree": DecisionTreeClassifier(random_state=0),
        "histogram boosting": HistGradientBoostingClassifier(min_samples_leaf=5, max_iter=20),
        "support vectors": SVC(),
        "linear vectors": LinearSVC(),
        "neighbours": KNeighborsClassifier(),
        "bayes": GaussianNB(),
        "net": MLPClassifier((8,), max_iter=100, random_state=0),
        "gradient descent": SGDClassifier(random_state=0),
        "calibrated": CalibratedClassifierCV(LogisticRegression(max_iter=1000)),
        "stack": StackingClassifier(
            [("tree", DecisionTreeClassifier(max_depth=3)), ("bayes", GaussianNB())]
        ),
    }
    for name, model in models.items():
        yield f"imputed, one-hot: {name}", make_pipeline(usual, model), table, "frame"
    numbers = {
        "mean": make_pipeline(SimpleImputer(), MinMaxScaler()),
        "indicator": SimpleImputer(add_indicator=True),
        "nearest": KNNImputer(),
        "robust": make_pipeline(SimpleImputer(strategy="constant"), RobustScaler()),
        "binned": make_pipeline(
            SimpleImputer(),
            KBinsDiscretizer(encode="onehot-dense", quantile_method="averaged_inverted_cdf"),
        ),
        "power": make_pipeline(SimpleImputer(), PowerTransformer()),
        "quantile": make_pipeline(SimpleImputer(), QuantileTransformer(n_quantiles=20)),
        "polynomial": make_pipeline(SimpleImputer(), StandardScaler(), PolynomialFeatures(2)),
    }
    for name, step in numbers.items():
        columns = _columns(step, make_pipeline(often, one_hot))
        model = LogisticRegression(max_iter=1000)
        yield f"{name} numbers: logistic", make_pipeline(columns, model), table, "frame"
    labels = {
        "one-hot, errors": (OneHotEncoder(sparse_output=False), whole),
        "one-hot, missing": (one_hot, table),
        "one-hot, infrequent": (
            OneHotEncoder(
                handle_unknown="infrequent_if_exist", min_frequency=70, sparse_output=False
            ),
            whole,
        ),
        "one-hot, sparse": (OneHotEncoder(handle_unknown="ignore"), whole),
        "ordinal": (OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), whole),
        "ordinal, missing": (
            OrdinalEncoder(
                handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2
            ),
            table,
        ),
        "target": (TargetEncoder(random_state=0), whole),
        "constant": (
            make_pipeline(SimpleImputer(strategy="constant", fill_value="none"), one_hot),
            table,
        ),
    }
    for name, (step, rows) in labels.items():
        for model in (
            LogisticRegression(max_iter=1000),
            RandomForestClassifier(10, random_state=0),
        ):
            kind = type(model).__name__
            yield (
                f"{name} labels: {kind}",
                make_pipeline(_columns(median, step), model),
                rows,
                "frame",
            )


def _of_texts() -> Found:
    table = reviews()
    vectors = {
        "tf-idf": TfidfVectorizer(),
        "tf-idf, pairs": TfidfVectorizer(
            ngram_range=(1, 2), sublinear_tf=True, stop_words="english"
        ),
        "counts": CountVectorizer(),
        "counts of characters": CountVectorizer(analyzer="char_wb", ngram_range=(2, 3)),
        "hashes": HashingVectorizer(n_features=64, alternate_sign=False),
    }
    for name, step in vectors.items():
        for model in (LogisticRegression(), MultinomialNB()):
            yield f"{name}: {type(model).__name__}", make_pipeline(step, model), table, "series"
    columns = ColumnTransformer([("text", TfidfVectorizer(), "text")])
    yield "tf-idf of a column", make_pipeline(columns, LogisticRegression()), table, "frame"
    topics = make_pipeline(TfidfVectorizer(), TruncatedSVD(3, random_state=0), SVC())
    yield "tf-idf, decomposed: support vectors", topics, table, "series"
    frame, y = passengers()
    both = frame.assign(text=table[0].text.to_numpy())
    columns = ColumnTransformer(
        [
            ("text", TfidfVectorizer(), "text"),
            ("numbers", SimpleImputer(), NUMBERS),
            ("labels", OneHotEncoder(handle_unknown="ignore"), LABELS),
        ]
    )
    mixed = make_pipeline(columns, LogisticRegression(max_iter=1000))
    yield "texts, numbers and labels", mixed, (both, y), "frame"


def _of_numbers() -> Found:
    frame, labels = passengers()
    rows = frame[[*NUMBERS, "siblings"]].astype(float)
    y = (rows.fare * 2 + rows.siblings).to_numpy()
    whole = rows.fillna(30.0)
    both = np.column_stack([y, y**2])
    regressors = {
        "histogram boosting, missing": (
            HistGradientBoostingRegressor(max_iter=20, min_samples_leaf=5),
            rows,
            y,
        ),
        "forest, missing": (RandomForestRegressor(10, random_state=0), rows, y),
        "scaled boosting": (make_pipeline(StandardScaler(), GradientBoostingRegressor()), whole, y),
        "components": (make_pipeline(StandardScaler(), PCA(2), LinearRegression()), whole, y),
        "selected": (make_pipeline(SelectKBest(k=2), Ridge()), whole, y),
        "union": (make_pipeline(make_union(PCA(1), StandardScaler()), Ridge()), whole, y),
        "logarithm of the target": (
            TransformedTargetRegressor(Ridge(), func=np.log1p, inverse_func=np.expm1),
            whole,
            y,
        ),
        "vote": (
            VotingRegressor([("a", Ridge()), ("b", RandomForestRegressor(5, random_state=0))]),
            whole,
            y,
        ),
        "two targets: linear": (LinearRegression(), whole, both),
        "two targets: forest": (RandomForestRegressor(5, random_state=0), whole, both),
    }
    for name, (model, table, target) in regressors.items():
        containers: tuple[Container, ...] = ("array", "frame")
        for container in containers:
            yield f"{name}, {container}", clone(model), (table, target), container
    several = np.column_stack([labels == "yes", y > np.median(y)]).astype(int)
    for name, model in {
        "several labels: forest": RandomForestClassifier(5, random_state=0),
        "several labels: neighbours": KNeighborsClassifier(),
        "several labels: one each": MultiOutputClassifier(LogisticRegression(max_iter=1000)),
    }.items():
        yield name, model, (whole, several), "array"


def _odd_ones() -> Found:
    frame, y = passengers()
    rows = frame[[*NUMBERS, "siblings"]].astype(float).fillna(30.0)
    yield "labels of truths", LogisticRegression(max_iter=1000), (rows, y == "yes"), "array"
    halves = np.where(y == "yes", 1.0, 2.0)
    yield (
        "labels of floats",
        RandomForestClassifier(5, random_state=0),
        (rows, halves),
        "array",
    )
    scored = make_pipeline(StandardScaler(), IsolationForest(n_estimators=20, random_state=0))
    yield "what lies outside", scored, (rows, None), "frame"
    ids = pd.DataFrame({"id": 2**60 + np.arange(N_ROWS) % 20, "zone": np.arange(N_ROWS) % 3})
    by_id = make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression())
    yield "numbers of 64 bits as labels", by_id, (ids, ids.zone == 1), "frame"
    kinds = frame[["sex", "port"]].fillna("none").astype("category").assign(age=frame.age)
    by_dtype = HistGradientBoostingClassifier(
        categorical_features="from_dtype", max_iter=20, min_samples_leaf=5
    )
    yield "pandas categories", by_dtype, (kinds, y), "frame"


def _of_others() -> Found:
    frame, y = passengers()
    rows = frame[[*NUMBERS, "siblings"]].astype(float)
    kinds = frame[["sex", "port"]].astype("category").assign(age=frame.age)
    target = (y == "yes").astype(int)
    few: dict[str, Any] = {"n_estimators": 10, "n_jobs": 1}
    for label, classes, numbers in (
        ("XGBoost", XGBClassifier(**few), XGBRegressor(**few)),
        ("LightGBM", LGBMClassifier(**few, verbose=-1), LGBMRegressor(**few, verbose=-1)),
        ("CatBoost", CatBoostClassifier(**_CATBOOST), CatBoostRegressor(**_CATBOOST)),
    ):
        yield label, classes, (rows, target), "array"
        yield f"{label}, numbers", numbers, (rows, frame.fare), "frame"
    by_dtype = XGBClassifier(**few, enable_categorical=True)
    yield "XGBoost, categories", by_dtype, (kinds, target), "frame"
    yield "LightGBM, categories", LGBMClassifier(**few, verbose=-1), (kinds, y), "frame"
    hashed = CatBoostClassifier(**_CATBOOST, cat_features=["sex", "siblings"])
    yield "CatBoost, categories", hashed, (frame[["sex", "age", "siblings"]], y), "frame"


_CATBOOST: dict[str, Any] = {
    "iterations": 10,
    "verbose": 0,
    "allow_writing_files": False,
    "thread_count": 1,
}
