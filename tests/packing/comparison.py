"""What a graph answers, beside its estimator."""

from typing import Any

import numpy as np

from model_server.model.manifest import Feature
from model_server.model.onnx_runtime import OnnxRuntime
from model_server.packing.conversion import EXACT, convert
from model_server.packing.probes import probes


def features(X: Any) -> tuple[Feature, ...]:
    return tuple(Feature(name=f"x {at} [m]") for at in range(X.shape[1]))


def answers(estimator: Any, X: Any) -> tuple[Any, Any]:
    """Return what graph and estimator answer to rows seen, and to probes of them."""
    converted = convert(estimator, features(X), X)
    assert converted.graph is not None, converted.conversion.reason
    rows = probes(estimator, features(X), X)
    return OnnxRuntime(converted.graph, features(X)).predict(rows), estimator.predict(rows)


def assert_same(estimator: Any, seen: Any, held_out: Any) -> None:
    """See that there is an exact graph, and that rows not seen, one or many, come out the same."""
    converted = convert(estimator, features(seen), seen)
    assert converted.graph is not None, converted.conversion.reason
    assert converted.tolerance.relative in {0.0, EXACT}, converted.conversion
    for rows in (held_out, held_out[:1], held_out * 3, -held_out):
        expected = np.asarray(estimator.predict(rows))
        runtime = OnnxRuntime(converted.graph, features(seen), converted.outputs)
        if expected.dtype.kind == "f":
            scale = np.ptp(expected, axis=0).max()
            np.testing.assert_allclose(
                runtime.predict(rows), expected, rtol=EXACT, atol=EXACT * scale
            )
        else:
            np.testing.assert_array_equal(runtime.predict(rows), expected)
        if hasattr(estimator, "predict_proba"):
            probabilities = runtime.answer(rows, ["probability"])["probability"]
            np.testing.assert_allclose(
                probabilities, estimator.predict_proba(rows), rtol=0, atol=EXACT
            )


def refusal(estimator: Any, X: Any) -> str:
    """Return why there is no graph."""
    converted = convert(estimator, features(X), X)
    assert converted.graph is None
    return converted.conversion.reason
