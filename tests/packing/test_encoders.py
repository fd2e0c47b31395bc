"""Encoders of labels as graphs: also of those that are grouped, dropped, missing or unknown."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, TargetEncoder

from model_server.model.columns import Columns
from model_server.model.onnx_runtime import OnnxRuntime
from model_server.packing.conversion import EXACT, convert
from model_server.packing.features import find
from model_server.packing.overrides import Overrides

pytestmark = pytest.mark.slow

LABELS = ["Oslo", "Rome", "Bern", 'a, "b"', "é"]


def table(*, missing: bool) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "city": rng.choice(LABELS, 200, p=[0.4, 0.3, 0.2, 0.07, 0.03]),
            "alone": "only one",
            "size": rng.choice(["S", "M", "L"], 200),
            "area": rng.normal(size=200),
        }
    )
    if missing:
        frame.loc[::9, "city"] = np.nan
    return frame


ENCODERS: dict[str, tuple[Any, bool]] = {
    "errors": (OneHotEncoder(), False),
    "ignoring": (OneHotEncoder(handle_unknown="ignore", sparse_output=False), False),
    "missing": (OneHotEncoder(handle_unknown="ignore"), True),
    "dropping the first": (OneHotEncoder(drop="first", handle_unknown="ignore"), True),
    "dropping one of two": (OneHotEncoder(drop="if_binary"), False),
    "grouping": (OneHotEncoder(min_frequency=30, handle_unknown="infrequent_if_exist"), True),
    "grouping and ignoring": (OneHotEncoder(max_categories=3, handle_unknown="ignore"), False),
    "ordinal": (OrdinalEncoder(), False),
    "ordinal, unknown": (
        OrdinalEncoder(
            handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2
        ),
        True,
    ),
    "ordinal, missing": (OrdinalEncoder(), True),
    "target": (TargetEncoder(random_state=0), True),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ENCODERS)
def test_labels_come_out_as_the_encoder_has_them(name: str) -> None:
    encoder, missing = ENCODERS[name]
    frame = table(missing=missing)
    columns = make_column_transformer((encoder, ["city", "alone", "size"]), remainder="passthrough")
    y = frame.city.map({label: at**2 for at, label in enumerate(LABELS)}).fillna(-3) + frame.area
    rows = frame.fillna({"area": 0.0})
    boosting = HistGradientBoostingRegressor(max_iter=5)  # which reads NaN
    last = boosting if name == "ordinal, missing" else LinearRegression()
    model = make_pipeline(columns, last).fit(rows, y)
    reading = find(model, rows, Overrides())
    converted = convert(model, reading.features, reading.X, reading.container)
    assert converted.graph is not None, converted.conversion.reason
    assert converted.tolerance.relative == EXACT
    runs = OnnxRuntime(converted.graph, reading.features, converted.outputs)
    told = rows.astype(object).where(rows.notna(), None).head(20).to_numpy().tolist()
    if reading.features[0].unknown:
        told += [["never seen", *told[0][1:]], [None, *told[0][1:]]]
    asked = pd.DataFrame(told, columns=rows.columns).fillna(np.nan)
    expected = model.predict(asked.astype({"area": float}))
    allowed = EXACT * np.ptp(expected)
    answers = runs.predict(Columns(reading.features).read(told))
    np.testing.assert_allclose(answers, expected, rtol=EXACT, atol=allowed)


def test_numbers_may_be_labels() -> None:
    X = np.random.default_rng(0).integers(0, 5, (100, 2)).astype(float)
    model = make_pipeline(OneHotEncoder(handle_unknown="ignore"), LinearRegression()).fit(
        X, X[:, 0]
    )
    frame = pd.DataFrame(X, columns=["a", "b"])
    reading = find(model, frame, Overrides())
    converted = convert(model, reading.features, reading.X, reading.container)
    assert converted.graph is not None, converted.conversion.reason
    runs = OnnxRuntime(converted.graph, reading.features, converted.outputs)
    rows = np.array([[0.0, 4.0], [7.0, 1.0], [2.5, 3.0]])
    np.testing.assert_allclose(runs.predict(rows), model.predict(rows), atol=1e-9)
