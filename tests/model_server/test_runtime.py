"""A number that a graph of float32 can't hold is told with its row and feature."""

import asyncio
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline

from model_server.errors import BadRequest
from model_server.inference.batching import Batcher
from model_server.inference.executor import Executor
from model_server.model.manifest import Feature
from model_server.model.onnx_runtime import OnnxRuntime
from model_server.model.outputs import Answers
from tests.model_server.signatures import signature

NAMES = ("RM", "AGE")
LARGEST = float(np.finfo(np.float32).max)
SOUND = [6.5, 40.0]


TRAINING = pd.DataFrame([[0, 0], [1, 0], [0, 1]], columns=list(NAMES), dtype=float)


def graph(estimator: Any, *inputs: tuple[str, Any]) -> OnnxRuntime:
    """Return a graph whose prediction is the sum of its two features."""
    model = to_onnx(estimator, initial_types=list(inputs))
    return OnnxRuntime(model.SerializeToString(), [Feature(name=name) for name in NAMES])


@pytest.fixture(scope="module", params=["one matrix", "a column a feature"])
def runtime(request: pytest.FixtureRequest) -> OnnxRuntime:
    if request.param == "one matrix":
        plain = LinearRegression().fit(TRAINING.to_numpy(), [0, 1, 1])
        return graph(plain, ("X", FloatTensorType([None, 2])))
    columns = make_column_transformer(("passthrough", list(NAMES)))
    by_name = make_pipeline(columns, LinearRegression()).fit(TRAINING, [0, 1, 1])
    return graph(by_name, *((name, FloatTensorType([None, 1])) for name in NAMES))


def matrix(*rows: list[float]) -> npt.NDArray[np.float64]:
    return np.array(rows, dtype=np.float64)


@pytest.mark.parametrize("column", [0, 1])
@pytest.mark.parametrize(
    ("value", "words"),
    [
        (1e39, "1e+39 is above 3.4e+38, the highest float32 number"),
        (-1e308, "-1e+308 is below -3.4e+38, the lowest float32 number"),
    ],
)
def test_a_number_beyond_float32_is_told_with_its_place(
    runtime: OnnxRuntime, column: int, value: float, words: str
) -> None:
    X = matrix(SOUND, SOUND, SOUND, SOUND)
    X[2, column] = X[3, column] = value
    with pytest.raises(BadRequest) as refused:
        runtime.predict(X)
    assert str(refused.value) == f"row 3, feature {NAMES[column]!r}: {words}"
    assert refused.value.members == {"row": 3, "feature": NAMES[column]}


def test_what_float32_holds_is_read(runtime: OnnxRuntime) -> None:
    nearest = np.nextafter(LARGEST, np.inf)
    y = runtime.predict(matrix(SOUND, [LARGEST, 0], [0, -LARGEST], [nearest, 0], [1e-300, 0]))
    np.testing.assert_allclose(y[:3], [46.5, LARGEST, -LARGEST], rtol=1e-5)
    assert y[3] == y[1]
    assert abs(y[4]) < 1e-5


@pytest.fixture
def workers() -> Executor:
    return Executor(queue_limit_s=1.0, n_threads=1).start()


async def test_rows_are_counted_in_the_clients_own_request(
    runtime: OnnxRuntime, workers: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    batcher = Batcher(runtime, signature(runtime, matrix(SOUND, [5, 30])), workers, rows_limit=100)
    asked = []
    answer = runtime.answer

    def counted(X: npt.NDArray[np.float64], names: Sequence[str]) -> Answers:
        asked.append(len(X))
        return answer(X, names)

    monkeypatch.setattr(runtime, "answer", counted)
    requests = [
        matrix(SOUND, SOUND, SOUND),
        matrix(SOUND, [6.5, 1e39]),
        matrix(SOUND),
        matrix([-1e39, 1], SOUND),
    ]
    answers: list[Any] = await asyncio.gather(
        *(batcher.submit(X, ("prediction",)) for X in requests), return_exceptions=True
    )
    assert asked[0] == 8, "they were merged"
    told = [
        answer.members if isinstance(answer, BadRequest) else len(answer["prediction"])
        for answer in answers
    ]
    assert told == [3, {"row": 2, "feature": NAMES[1]}, 1, {"row": 1, "feature": NAMES[0]}]


def test_many_rows_are_not_predicted_at_once(
    runtime: OnnxRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    class Session:
        def __init__(self, session: Any) -> None:
            self._session = session

        def run(self, outputs: list[str], feed: dict[str, npt.NDArray[Any]]) -> Any:
            asked.extend(len(rows) for rows in feed.values())
            return self._session.run(outputs, feed)

    X = np.random.default_rng(0).uniform(0, 9, (2500, 2))
    one_by_one = [runtime.predict(row[np.newaxis])[0] for row in X]
    monkeypatch.setattr(runtime, "_session", Session(runtime._session))
    np.testing.assert_array_equal(runtime.predict(X), one_by_one)
    assert set(asked) == {1024, 2500 - 2 * 1024}
    X[2049, 1] = 1e39
    with pytest.raises(BadRequest, match="row 2050, "):
        runtime.predict(X)
