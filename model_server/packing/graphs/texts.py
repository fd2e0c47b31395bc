"""Graphs of vectorizers, which count the tokens that they are given in place of texts.

`model_server.model.tokens` cuts a text as scikit-learn does, which no operator does.
"""

from typing import Any

import numpy as np
from onnx import TensorProto
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer, TfidfVectorizer

from model_server.model.manifest import Tokens
from model_server.packing.graphs.operators import Conversion, Operators


def tokens(vectorizer: Any) -> Tokens:
    """Return how a vectorizer cuts a text.

    Raises
    ------
    NotImplementedError
        If it does so by a function of its own.
    """
    own = [vectorizer.preprocessor, vectorizer.tokenizer]
    own += [each for each in (vectorizer.analyzer, vectorizer.strip_accents) if callable(each)]
    if any(each is not None for each in own) or vectorizer.input != "content":
        raise NotImplementedError("texts that are cut by a function of one's own, or from files")
    words = vectorizer.analyzer == "word"
    return Tokens(
        analyzer=vectorizer.analyzer,
        lowercase=vectorizer.lowercase,
        strip_accents=vectorizer.strip_accents or "",
        pattern=vectorizer.token_pattern if words else Tokens().pattern,
        ngrams=tuple(vectorizer.ngram_range),
        stop_words=tuple(sorted(vectorizer.get_stop_words() or ())) if words else (),
        n_known=len(vectorizer.vocabulary_),
    )


def _counts(graph: Operators) -> str:
    """Add how often each known token is among those of a row: doubles."""
    vectorizer = graph.estimator
    known = sorted(vectorizer.vocabulary_, key=vectorizer.vocabulary_.__getitem__)
    counts = graph.add(
        "TfIdfVectorizer",
        graph.X,
        mode="TF",
        min_gram_length=1,
        max_gram_length=1,
        max_skip_count=0,
        ngram_counts=[0],
        ngram_indexes=list(range(len(known))),
        pool_strings=known,
    )
    counts = graph.cast(counts, TensorProto.DOUBLE)
    return graph.add("Min", counts, np.array(1.0)) if vectorizer.binary else counts


def _weighed(graph: Operators, counts: str, transformer: TfidfTransformer) -> None:
    """Answer with counts that are weighed as a transformer does."""
    if transformer.sublinear_tf:
        some = graph.add("Greater", counts, 0.0)
        logarithm = graph.add("Log", graph.add("Where", some, counts, 1.0))
        counts = graph.add("Where", some, graph.add("Add", logarithm, 1.0), 0.0)
    if transformer.use_idf:
        counts = graph.add("Mul", counts, np.asarray(transformer.idf_, np.float64))
    if transformer.norm is None:
        graph.add("Identity", counts, out=graph.outputs[0])
        return
    kind = {"l1": "ReduceL1", "l2": "ReduceL2"}[transformer.norm]
    length = graph.add(kind, counts, [1], keepdims=1)
    nothing = graph.add("Equal", length, 0.0)
    graph.add("Div", counts, graph.add("Where", nothing, 1.0, length), out=graph.outputs[0])


def _count_vectorizer(graph: Operators) -> None:
    graph.add("Identity", _counts(graph), out=graph.outputs[0])


def _tfidf_vectorizer(graph: Operators) -> None:
    _weighed(graph, _counts(graph), graph.estimator._tfidf)


def _tfidf_transformer(graph: Operators) -> None:
    _weighed(graph, graph.doubles(), graph.estimator)


BY_TYPE: dict[type, Conversion] = {
    CountVectorizer: _count_vectorizer,
    TfidfTransformer: _tfidf_transformer,
    TfidfVectorizer: _tfidf_vectorizer,
}
"""What adds a step's operators, by its type."""
