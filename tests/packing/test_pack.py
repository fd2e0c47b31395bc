"""Fitted estimators, packed from a file and a sample as a team has them."""

import json
import sys
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator
from sklearn.cluster import DBSCAN
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF
from sklearn.impute import MissingIndicator
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.tree import DecisionTreeClassifier
from xgboost import XGBRegressor

from harness.processes import ServerProcess
from model_server.model import directory as model_directory
from model_server.model import loading
from model_server.model.columns import Columns
from model_server.model.manifest import Feature, Manifest
from model_server.packing import command
from model_server.packing.errors import NotPacked
from model_server.packing.overrides import Overrides, TargetOverrides
from model_server.packing.pack import pack

pytestmark = pytest.mark.slow

N_ROWS = 60


class Doubling(BaseEstimator):  # type: ignore[misc]
    """An estimator of a script's own."""

    fitted_ = True

    def predict(self, X: Any) -> Any:
        return np.asarray(X)[:, 0] * 2


def passengers() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "age": rng.uniform(1, 80, N_ROWS).round(1),
            "siblings": rng.integers(0, 5, N_ROWS),
            "alone": rng.integers(0, 2, N_ROWS).astype(bool),
            "port": rng.choice(["C", "Q", "S"], N_ROWS),
        }
    )


def features(manifest: Manifest) -> dict[str, Feature]:
    return {feature.name: feature for feature in manifest.features}


def asked(packed: Any, folder: Path, rows: list[Any]) -> list[Any]:
    """Return what a server would answer, from the directory."""
    model_directory.write(folder / "model", packed.manifest, packed.files)
    loaded = loading.load(model_directory.read(folder / "model"))
    answers: list[Any] = loaded.predict(Columns(packed.manifest.features).read(rows)).tolist()
    return answers


@pytest.fixture
def titanic(tmp_path: Path) -> Path:
    """Write a pipeline, rows of a sample, and their truth."""
    frame = passengers()
    survived = np.where(frame.alone ^ (frame.age > 40), "yes", "no")
    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["port"]), remainder="passthrough"
    )
    pipeline = make_pipeline(columns, LogisticRegression(max_iter=1000)).fit(frame, survived)
    joblib.dump(pipeline, tmp_path / "titanic.joblib")
    frame.to_csv(tmp_path / "rows.csv", index=False)
    pd.Series(survived, name="survived").to_csv(tmp_path / "truth.csv", index=False)
    return tmp_path


def test_it_tells_what_it_found(titanic: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = titanic / "models/titanic"
    given = [str(titanic / "titanic.joblib"), "--sample", str(titanic / "rows.csv")]
    assert command.main([*given, "--target", str(titanic / "truth.csv"), "--out", str(out)]) == 0
    told = capsys.readouterr().out
    for words in (
        "ColumnTransformer, LogisticRegression (classification)",
        "port      category  answered    answered    C, Q, S",
        "alone     boolean   refused",
        "probability  2 of number  no, yes",
        "rows the same",
        f"serve it: python -m model_server --models {out} --print-example",
    ):
        assert words in told
    manifest = model_directory.read(out).manifest
    assert manifest.target.name == "survived"
    assert manifest.target.classes == ("no", "yes")
    assert [feature.type for feature in manifest.features] == [
        *("number", "integer", "boolean", "category"),
    ]


def test_three_steps_to_an_answer(titanic: Path) -> None:
    given = [str(titanic / "titanic.joblib"), "--sample", str(titanic / "rows.csv")]
    assert command.main([*given, "--out", str(titanic / "models/titanic")]) == 0
    estimator = joblib.load(titanic / "titanic.joblib")
    rows = pd.read_csv(titanic / "rows.csv").head(3).assign(port=["S", "never seen", "C"])
    body = {
        "instances": rows.to_dict(orient="records"),
        "parameters": {"return": ["prediction", "probability"]},
    }
    with ServerProcess(titanic / "models", log=titanic / "log") as server:
        answer = server.predict("titanic", json.dumps(body), "application/json").json()
    told = answer["predictions"]
    assert [each["prediction"] for each in told] == estimator.predict(rows).tolist()
    np.testing.assert_allclose(
        [each["probability"] for each in told], estimator.predict_proba(rows), atol=1e-6
    )


def test_texts_alone(tmp_path: Path) -> None:
    texts = [f"a {'fine' if row % 2 else 'dull'} film {row}" for row in range(40)]
    labels = ["good" if row % 2 else "bad" for row in range(40)]
    pipeline = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts, labels)
    packed = pack(pipeline, pd.DataFrame({"text": texts}), "reviews")
    [text] = packed.manifest.features
    assert (text.type, text.categories, packed.manifest.container) == ("text", (), "series")
    unseen = ["So FINE!", "", "très dull", "x" * 1000]
    assert asked(packed, tmp_path, [[each] for each in unseen]) == pipeline.predict(unseen).tolist()


def test_an_unknown_category_is_refused_where_the_estimator_refuses_it(tmp_path: Path) -> None:
    frame = passengers()[["port", "age"]]
    columns = make_column_transformer((OneHotEncoder(), ["port"]), remainder="passthrough")
    pipeline = make_pipeline(columns, LinearRegression()).fit(frame, frame.age * 2)
    packed = pack(pipeline, frame, "strict")
    assert features(packed.manifest)["port"].unknown is False
    assert features(packed.manifest)["port"].categories == ("C", "Q", "S")
    with pytest.raises(ValueError, match="never seen"):
        pipeline.predict(frame.head(1).assign(port="never seen"))


def test_values_may_be_missing_where_the_estimator_reads_them(tmp_path: Path) -> None:
    frame = passengers()[["age", "siblings"]].astype(float)
    boosting = HistGradientBoostingRegressor(min_samples_leaf=5, max_iter=5)
    frame.loc[::5, "age"] = np.nan
    boosting.fit(frame.to_numpy(), frame.siblings)
    packed = pack(boosting, frame, "boosting")
    assert all(feature.missing for feature in packed.manifest.features)
    assert packed.manifest.conversion.converted
    rows = [[None, 1], [3, None], [None, None]]
    expected = boosting.predict(np.array(rows, np.float64)).tolist()
    assert asked(packed, tmp_path, rows) == expected
    linear = LinearRegression().fit(frame[["siblings"]].to_numpy(), frame.siblings)
    [feature] = pack(linear, frame[["siblings"]], "linear").manifest.features
    assert feature.missing is False


@pytest.mark.parametrize(
    ("labels", "kind"),
    [
        (lambda y: y > 2, "boolean"),
        (lambda y: np.where(y > 2, 0.5, 1.5), "number"),
        (lambda y: (y > 2).astype("uint8"), "integer"),
        (lambda y: np.where(y > 2, "a", "b"), "text"),
        (lambda y: np.where(y > 2, "a", "b").astype(object), "text"),
    ],
)
def test_labels_are_of_any_type(tmp_path: Path, labels: Any, kind: str) -> None:
    frame = passengers()[["age", "siblings"]]
    y = labels(frame.siblings)
    tree = DecisionTreeClassifier(random_state=0)
    if kind == "number":
        y = y.astype(int) + 1.0
    tree.fit(frame, y)
    packed = pack(tree, frame, "labels")
    assert packed.manifest.outputs[0].type == kind
    rows = frame.head(9)
    answers = asked(packed, tmp_path, rows.to_numpy().tolist())
    assert answers == tree.predict(rows).tolist()
    assert [*map(type, answers)] == [*map(type, tree.predict(rows).tolist())]


def test_several_targets(tmp_path: Path) -> None:
    frame = passengers()[["age", "siblings"]].astype(float)
    forest = RandomForestRegressor(5, random_state=0).fit(frame, frame * 2)
    packed = pack(forest, frame, "two")
    assert packed.manifest.outputs[0].shape == (2,)
    rows = frame.head(5)
    assert asked(packed, tmp_path, rows.to_numpy().tolist()) == forest.predict(rows).tolist()


def test_pandas_categories_out_of_a_file(tmp_path: Path) -> None:
    frame = passengers()[["port", "age"]].astype({"port": "category"})
    boosting = HistGradientBoostingRegressor(
        categorical_features="from_dtype", min_samples_leaf=3, max_iter=5
    ).fit(frame, frame.age + (frame.port == "Q") * 50)
    frame.to_csv(tmp_path / "rows.csv", index=False)
    packed = pack(boosting, pd.read_csv(tmp_path / "rows.csv"), "categories")
    rows = frame.head(7)
    answers = asked(packed, tmp_path, rows.astype(object).to_numpy().tolist())
    assert answers == boosting.predict(rows).tolist()


def test_long_whole_numbers_are_kept(tmp_path: Path) -> None:
    frame = pd.DataFrame({"id": 2**60 + np.arange(N_ROWS) % 20})
    one_hot = OneHotEncoder(handle_unknown="ignore")
    pipeline = make_pipeline(one_hot, LogisticRegression()).fit(frame, frame.id % 2)
    packed = pack(pipeline, frame, "ids")
    answers = asked(packed, tmp_path, frame.to_numpy().tolist())
    assert answers == pipeline.predict(frame).tolist()


def test_outputs_that_are_wanted_are_given(tmp_path: Path) -> None:
    frame = passengers()[["age"]]
    process = GaussianProcessRegressor(RBF(), alpha=0.1, optimizer=None).fit(
        frame.to_numpy(), frame.age
    )
    joblib.dump(process, tmp_path / "process.joblib")
    frame.to_csv(tmp_path / "rows.csv", index=False)
    out = tmp_path / "process"
    given = [str(tmp_path / "process.joblib"), "--sample", str(tmp_path / "rows.csv")]
    assert command.main([*given, "--out", str(out), "--outputs", "std"]) == 0
    read = model_directory.read(out)
    assert [output.name for output in read.manifest.outputs] == ["prediction", "std"]
    _, std = process.predict(frame.to_numpy()[:3], return_std=True)
    answers = loading.load(read).answer(frame.to_numpy()[:3], ["std"])
    np.testing.assert_array_equal(answers["std"], std)


def test_overrides_say_what_nobody_can_see(titanic: Path) -> None:
    (titanic / "more.toml").write_text(
        'description = "Who survived"\n'
        '[types]\nsiblings = "number"\n[units]\nage = "years"\n[missing]\nport = false\n'
        '[unknown]\nport = false\n[target]\nname = "survival"\n'
    )
    given = [str(titanic / "titanic.joblib"), "--sample", str(titanic / "rows.csv")]
    more = ["--overrides", str(titanic / "more.toml"), "--out", str(titanic / "model")]
    assert command.main([*given, *more]) == 0
    manifest = model_directory.read(titanic / "model").manifest
    found = features(manifest)
    assert (found["siblings"].type, found["age"].unit) == ("number", "years")
    assert (found["port"].missing, found["port"].unknown) == (False, False)
    assert (manifest.description, manifest.target.name) == ("Who survived", "survival")


def refused(capsys: pytest.CaptureFixture[str], *given: object) -> str:
    assert command.main([*map(str, given)]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("error: ")
    assert told.err.count("\n") == 1
    return told.err


@pytest.mark.parametrize(
    ("estimator", "words"),
    [
        (LinearRegression, "the LinearRegression is not fitted; fit it and save it again"),
        (dict, "what it holds, of type dict, is no estimator"),
        (lambda: DBSCAN().fit([[0.0], [1.0]]), "has neither predict, transform nor score_samples"),
    ],
)
def test_what_can_not_answer_is_refused(
    titanic: Path, capsys: pytest.CaptureFixture[str], estimator: Any, words: str
) -> None:
    joblib.dump(estimator(), titanic / "wrong.joblib")
    told = refused(capsys, titanic / "wrong.joblib", "--sample", titanic / "rows.csv")
    assert words in told


def test_a_class_of_a_script_is_refused(
    titanic: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    main = sys.modules["__main__"]
    monkeypatch.setattr(Doubling, "__module__", "__main__")
    monkeypatch.setattr(main, "Doubling", Doubling, raising=False)
    joblib.dump(Doubling(), titanic / "own.joblib")
    monkeypatch.undo()
    told = refused(capsys, titanic / "own.joblib", "--sample", titanic / "rows.csv")
    assert "Doubling was defined in the script that saved it" in told
    assert "put Doubling into a module of its own" in told


def test_another_version_is_refused_unless_asked_for(
    titanic: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sklearn.base.__version__", "1.0")
    given = titanic / "titanic.joblib", "--sample", titanic / "rows.csv", "--out", titanic / "out"
    told = refused(capsys, *given)
    assert "was made by scikit-learn 1." in told
    assert "--allow-version-change" in told
    assert command.main([*map(str, given), "--allow-version-change"]) == 0


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"--sample": "nosuch.csv"}, "nosuch.csv: can't be read (No such file or directory)"),
        ({"--sample": "rows.txt"}, "is none of .csv, .jsonl"),
        ({"--sample": "truth.csv"}, "the sample has no column 'age'"),
        ({"--target": "short.csv"}, "the truth has 1 rows, and the sample 60"),
        ({"--name": "a b"}, "'a b' is no name for a model"),
        ({"--outputs": "chance"}, "the estimator gives no chance; it offers prediction, prob"),
        ({"--overrides": "wrong.toml"}, "colours: Extra inputs are not permitted; its tables are"),
        ({"--overrides": "truth.csv"}, "is not TOML"),
    ],
)
def test_what_is_wrong_is_told_on_a_line(
    titanic: Path, capsys: pytest.CaptureFixture[str], changed: dict[str, str], words: str
) -> None:
    (titanic / "short.csv").write_text("y\n1\n")
    (titanic / "wrong.toml").write_text("colours = 1\n")
    flags = {"--sample": "rows.csv", **changed}
    places = {flag: titanic / text if "." in text else text for flag, text in flags.items()}
    given = [each for pair in places.items() for each in pair]
    assert words in refused(capsys, titanic / "titanic.joblib", *given)


def test_an_estimator_that_gives_nothing_is_refused() -> None:
    frame = passengers()[["age", "siblings"]].astype(float)
    indicator = MissingIndicator().fit(frame.to_numpy())
    with pytest.raises(NotPacked, match="answers a row with no value at all"):
        pack(indicator, frame, "indicator")


def test_columns_that_are_none_of_the_features_are_told() -> None:
    frame = passengers()[["age", "siblings"]]
    linear = LinearRegression().fit(frame.to_numpy()[:, :1], frame.siblings)
    with pytest.raises(NotPacked, match="the sample has 2 columns, and the estimator reads 1"):
        pack(linear, frame, "linear")


def test_a_threshold_decides_between_two_classes(titanic: Path) -> None:
    (titanic / "more.toml").write_text("[target]\nthreshold = 0.8\n")
    given = [str(titanic / "titanic.joblib"), "--sample", str(titanic / "rows.csv")]
    more = ["--overrides", str(titanic / "more.toml"), "--out", str(titanic / "model")]
    assert command.main([*given, *more]) == 0
    read = model_directory.read(titanic / "model")
    assert (read.manifest.target.threshold, read.manifest.conversion.converted) == (0.8, True)
    rows = passengers()
    answers = loading.load(read).answer(
        Columns(read.manifest.features).read(rows.astype(object).to_numpy().tolist()),
        ["prediction", "probability"],
    )
    probability = joblib.load(titanic / "titanic.joblib").predict_proba(rows)[:, 1]
    assert ((probability > 0.5) != (probability >= 0.8)).any()
    assert answers["prediction"].tolist() == np.where(probability >= 0.8, "yes", "no").tolist()
    np.testing.assert_allclose(answers["probability"][:, 1], probability, atol=1e-9)


def test_a_threshold_needs_two_classes() -> None:
    frame = passengers()[["age"]]
    regression = LinearRegression().fit(frame, frame.age)
    with pytest.raises(NotPacked, match="a threshold decides between two classes"):
        pack(regression, frame, "model", Overrides(target=TargetOverrides(threshold=0.3)))


def test_a_graph_is_as_near_as_it_is_told_to_be(
    titanic: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The weights of these trees round to float32 what they give."""
    frame = passengers()[["age", "siblings"]].astype(float)
    dart = XGBRegressor(booster="dart", rate_drop=0.3, n_jobs=1).fit(frame, frame.age)
    joblib.dump(dart, titanic / "dart.joblib")
    frame.to_csv(titanic / "rows.csv", index=False)
    given = [titanic / "dart.joblib", "--sample", titanic / "rows.csv", "--out", titanic / "out"]
    assert command.main([*map(str, given), "--tolerance", "1e-8"]) == 0
    told = capsys.readouterr().out
    assert "predictions differ from the estimator's, by at most" in told
    assert not model_directory.read(titanic / "out").manifest.conversion.converted
    assert command.main([*map(str, given)]) == 0
    manifest = model_directory.read(titanic / "out").manifest
    assert (manifest.conversion.converted, manifest.tolerance.relative) == (True, 1e-6)
    capsys.readouterr()
    told = refused(capsys, *given, "--tolerance", "0")
    assert "the command line: tolerance: Input should be greater than 0" in told
