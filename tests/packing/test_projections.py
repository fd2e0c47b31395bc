"""Steps that are products with directions, or likeness to some rows, before a model and alone."""

from typing import Any

import numpy as np
import pytest
from sklearn.covariance import EllipticEnvelope
from sklearn.datasets import load_diabetes
from sklearn.decomposition import FactorAnalysis, FastICA
from sklearn.feature_selection import SequentialFeatureSelector
from sklearn.kernel_approximation import Nystroem, RBFSampler
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.random_projection import GaussianRandomProjection, SparseRandomProjection

from model_server.model.onnx_runtime import OnnxRuntime
from model_server.packing.conversion import EXACT, convert
from tests.packing.comparison import assert_same, features, refusal

pytestmark = pytest.mark.slow

STEPS: dict[str, Any] = {
    "independent": FastICA(4, random_state=0),
    "independent, not whitened": FastICA(whiten=False, random_state=0, max_iter=1000, tol=0.1),
    "factors": FactorAnalysis(4),
    "random": GaussianRandomProjection(4, random_state=0),
    "random, most of them zero": SparseRandomProjection(4, random_state=0),
    "random waves": RBFSampler(random_state=0, n_components=20),
    **{
        f"landmarks {kernel}": Nystroem(kernel=kernel, random_state=0, n_components=20)
        for kernel in ("rbf", "poly", "linear", "sigmoid")
    },
    "some": SequentialFeatureSelector(Ridge(), n_features_to_select=3, cv=2),
}


@pytest.mark.parametrize("name", STEPS)
def test_a_step_is_the_same(name: str) -> None:
    X, y = load_diabetes(return_X_y=True)
    pipeline = make_pipeline(STEPS[name], Ridge(alpha=1e-3)).fit(X[:300], y[:300])
    assert_same(pipeline, X[:300], X[300:])


def test_what_lies_outside_is_the_same() -> None:
    X, _ = load_diabetes(return_X_y=True)
    envelope = EllipticEnvelope(contamination=0.1, random_state=0).fit(X[:300])
    assert_same(envelope, X[:300], X[300:])
    converted = convert(envelope, features(X), X[:300])
    assert converted.graph is not None
    runtime = OnnxRuntime(converted.graph, features(X), converted.outputs)
    np.testing.assert_allclose(
        runtime.answer(X, ["decision"])["decision"], envelope.decision_function(X), rtol=EXACT
    )


def test_a_kernel_of_ones_own_is_left_to_the_estimator() -> None:
    X, y = load_diabetes(return_X_y=True)
    own = Nystroem(kernel="rbf", kernel_params={"gamma": 0.5}, n_components=9, random_state=0)
    assert "a kernel of one's own" in refusal(make_pipeline(own, Ridge()).fit(X, y), X)
