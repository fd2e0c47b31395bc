"""Classification by Gaussian processes, and the functions that it needs."""

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.gaussian_process.kernels import (
    RBF,
    ConstantKernel,
    DotProduct,
    Matern,
    RationalQuadratic,
    WhiteKernel,
)

from tests.packing.comparison import assert_same, refusal

pytestmark = pytest.mark.slow

KERNELS = {
    "as it is": None,
    "of several scales": 2.0 * RBF([1, 2, 1, 0.5]),
    "with noise": RBF() + WhiteKernel(0.1),
    "linear": DotProduct(0.5) + ConstantKernel(0.5),
    "once smooth": Matern(nu=1.5),
    "twice smooth": Matern(nu=2.5),
    "smooth": Matern(nu=np.inf),
    "of many scales": ConstantKernel(2.0) * RationalQuadratic(alpha=0.7),
}


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("texts", [True, False], ids=["texts", "integers"])
@pytest.mark.parametrize("name", KERNELS)
def test_probabilities(name: str, n_classes: int, *, texts: bool) -> None:
    X, y = load_iris(return_X_y=True)
    X, y = X[y < n_classes], y[y < n_classes]
    y = np.array(["virginica", "setosa", "versicolor"])[y] if texts else y
    model = GaussianProcessClassifier(KERNELS[name], optimizer=None).fit(X[::2], y[::2])
    assert_same(model, X[::2], X[1::2])


@pytest.mark.parametrize("kernel", [Matern(nu=0.5), RBF() ** 2], ids=["rough", "a power"])
def test_a_kernel_that_is_left_to_the_estimator(kernel: Any) -> None:
    X, y = load_iris(return_X_y=True)
    model = GaussianProcessClassifier(kernel, optimizer=None).fit(X, y)
    assert "the kernel" in refusal(model, X)
