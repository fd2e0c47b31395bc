"""Texts are cut into tokens, and these are counted, as scikit-learn does it."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import BernoulliNB, ComplementNB, MultinomialNB
from sklearn.pipeline import FeatureUnion, make_pipeline

from model_server.model.columns import Columns
from model_server.model.onnx_runtime import OnnxRuntime
from model_server.model.tokens import Tokenizer
from model_server.packing.conversion import EXACT, Converted, convert
from model_server.packing.features import find
from model_server.packing.graphs.texts import tokens
from model_server.packing.overrides import Overrides

pytestmark = pytest.mark.slow

VECTORIZERS: dict[str, dict[str, Any]] = {
    "words": {},
    "pairs without stop words": {"ngram_range": (1, 2), "stop_words": "english"},
    "threes alone": {"ngram_range": (3, 3), "lowercase": False},
    "a pattern": {"token_pattern": r"(?u)[^\s,;]+", "strip_accents": "unicode"},
    "a group": {"token_pattern": r"(\w+)!"},
    "ascii": {"strip_accents": "ascii"},
    "characters": {"analyzer": "char", "ngram_range": (1, 3)},
    "characters in words": {"analyzer": "char_wb", "ngram_range": (2, 4), "strip_accents": "ascii"},
    "long ones in words": {"analyzer": "char_wb", "ngram_range": (5, 6)},
}
UNSEEN = [
    *("", " ", "So FINE, a film! ", "TRÈS  dull\t\tplot\u00a0"),
    *("İstanbul ﬁlm ß 𝔣𝔦𝔩𝔪", "fi\0lm", "ŉ é e\u0301"),
]


def reviews(n_rows: int = 80) -> tuple[pd.DataFrame, list[str]]:
    rng = np.random.default_rng(0)
    words = ["film", "plot", "actor", "scene", "music", "Ending", "très", "the", "of", "naïve"]
    kinds = rng.integers(0, 2, n_rows)
    texts = [
        f"A {('dull', 'great')[kind]} {' '.join(rng.choice(words, 6))}, {('pain', 'joy')[kind]}!"
        for kind in kinds
    ]
    return pd.DataFrame({"text": texts}), [("bad", "good")[kind] for kind in kinds]


@pytest.mark.parametrize("name", VECTORIZERS)
@given(text=st.one_of(st.text(max_size=60), st.text("aB éİß,.! \t\u00a0\u0301", max_size=60)))
def test_tokens_are_those_of_scikit_learn(name: str, text: str) -> None:
    vectorizer = CountVectorizer(**VECTORIZERS[name])
    vectorizer.vocabulary_ = {"a": 0}
    assert Tokenizer(tokens(vectorizer), "").cut(text) == vectorizer.build_analyzer()(text)


def packed(model: Any, frame: pd.DataFrame) -> tuple[Converted, OnnxRuntime]:
    reading = find(model, frame, Overrides())
    converted = convert(model, reading.features, reading.X, reading.container)
    assert converted.graph is not None, converted.conversion.reason
    return converted, OnnxRuntime(converted.graph, converted.features, converted.outputs)


def assert_same(model: Any, frame: pd.DataFrame, rows: pd.DataFrame, given_: Any) -> None:
    converted, runs = packed(model, frame)
    assert converted.tolerance.relative in (0, EXACT)
    X = Columns(converted.features).read(rows.to_numpy().tolist())
    answers = runs.answer(X, ["prediction", "probability"])
    assert answers["prediction"].tolist() == model.predict(given_).tolist()
    probabilities = model.predict_proba(given_)
    np.testing.assert_allclose(answers["probability"], probabilities, rtol=0, atol=EXACT)


@pytest.mark.parametrize("kind", [CountVectorizer, TfidfVectorizer])
@pytest.mark.parametrize("name", VECTORIZERS)
def test_texts_alone(name: str, kind: Any) -> None:
    frame, labels = reviews()
    model = make_pipeline(kind(**VECTORIZERS[name]), LogisticRegression()).fit(frame.text, labels)
    rows = pd.DataFrame({"text": [*UNSEEN, *frame.text[:5]]})
    assert_same(model, frame, rows, rows.text)


@pytest.mark.parametrize(
    "settings",
    [
        {"sublinear_tf": True},
        {"norm": "l1"},
        {"norm": None, "use_idf": False},
        {"binary": True, "max_features": 5},
    ],
)
@pytest.mark.parametrize("last", [MultinomialNB, ComplementNB, BernoulliNB, LogisticRegression])
def test_weights(settings: dict[str, Any], last: Any) -> None:
    frame, labels = reviews()
    model = make_pipeline(TfidfVectorizer(**settings), last()).fit(frame.text, labels)
    rows = pd.DataFrame({"text": [*UNSEEN, *frame.text[:5]]})
    assert_same(model, frame, rows, rows.text)


def test_a_text_beside_other_columns() -> None:
    frame, labels = reviews()
    frame["stars"] = np.arange(len(frame)) % 5 + 0.5
    frame["title"] = frame.text.str.upper().str[:20]
    columns = make_column_transformer(
        (TfidfVectorizer(), "text"),
        (CountVectorizer(analyzer="char", ngram_range=(2, 2)), "title"),
        remainder="passthrough",
    )
    model = make_pipeline(columns, LogisticRegression(max_iter=1000)).fit(frame, labels)
    rows = pd.concat(
        [frame.head(5), frame.head(5).assign(text="", title=["a", "é", "", " ", "x" * 99])]
    )
    assert_same(model, frame, rows, rows)


def test_many_rows_are_counted_a_few_at_a_time() -> None:
    frame, labels = reviews()
    model = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(frame.text, labels)
    _, runs = packed(model, frame)
    runs._rows_at_a_time = 7
    X = Columns(runs._features).read(frame.to_numpy().tolist())
    assert runs.predict(X).tolist() == model.predict(frame.text).tolist()


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (TfidfVectorizer(tokenizer=str.split, token_pattern=None), "by a function of one's own"),
        (HashingVectorizer(n_features=16), "HashingVectorizer"),
        (
            FeatureUnion([("a", CountVectorizer()), ("b", CountVectorizer(analyzer="char"))]),
            "'text' is cut into tokens in two ways",
        ),
    ],
)
def test_what_no_graph_counts(step: Any, words: str) -> None:
    frame, labels = reviews()
    model = make_pipeline(step, LogisticRegression()).fit(frame.text, labels)
    reading = find(model, frame, Overrides())
    converted = convert(model, reading.features, reading.X, reading.container)
    assert converted.graph is None
    assert words in converted.conversion.reason
    assert converted.features[0].tokens is None
