"""A bare estimator with the names of its features is served, as far as it can be checked."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from harness.processes import ServerProcess, refuse
from model_server.errors import ModelDirectoryError
from model_server.model import estimator_runtime, without_manifest
from model_server.model.directory import ModelDirectory
from model_server.model.load_policy import LoadPolicy
from tests.model_server import bare_model
from tests.model_server.test_sagemaker import CSV, JSON, invoke


@pytest.mark.slow
def test_a_bare_estimator_is_served(tmp_path: Path) -> None:
    given = bare_model.write(tmp_path / "model", bare_model.line())
    with ServerProcess(
        tmp_path, f"--sagemaker-models={given}", word="serve", log=tmp_path / "log"
    ) as server:
        assert server.client.get("/ping").status_code == 200
        assert invoke(server, b"RM\n6\n", CSV, CSV).text == "22000.0\n"
        assert "feature 'RM'" in invoke(server, b'[{"RM": "six"}]', JSON).json()["error"]
        schema = server.client.get("/v1/models/model/schema").json()
        assert list(schema["features"]["properties"]) == ["RM"]


@pytest.mark.slow
def test_a_bare_classifier_answers_its_labels(tmp_path: Path) -> None:
    classifier = LogisticRegression().fit(np.array([[5.0], [7.0]]), ["cheap", "dear"])
    given = bare_model.write(tmp_path / "model", classifier)
    with ServerProcess(
        tmp_path, f"--sagemaker-models={given}", word="serve", log=tmp_path / "log"
    ) as server:
        assert invoke(server, b"[[4], [8]]", JSON).json() == {"predictions": ["cheap", "dear"]}
        assert server.client.get("/v1/models/model/schema").json()["target"]["enum"] == [
            "cheap",
            "dear",
        ]


@pytest.mark.parametrize(
    ("features", "words"),
    [
        ("RM", "features.json: is not JSON"),
        ("[]", "features.json: is no list of different names"),
        ('["RM", "RM"]', "features.json: is no list of different names"),
        ('["RM", 2]', "features.json: is no list of different names"),
        ('["RM", "AGE"]', "model.joblib: can't predict a row of 2 zeros"),
    ],
)
def test_what_is_wrong_with_a_bare_model_is_told(tmp_path: Path, features: str, words: str) -> None:
    given = bare_model.write(tmp_path / "model", bare_model.line(), features)
    with pytest.raises(ModelDirectoryError, match=words):
        load(given)


def test_an_answer_that_is_no_number_is_told(tmp_path: Path) -> None:
    estimator = bare_model.line()
    estimator.intercept_ = np.nan
    given = bare_model.write(tmp_path / "model", estimator)
    with pytest.raises(ModelDirectoryError, match=r"can't predict a row of 1 zeros .*not finite"):
        load(given)


def test_a_bare_model_may_have_several_targets(tmp_path: Path) -> None:
    estimator = bare_model.line()
    estimator.intercept_, estimator.coef_ = np.array([1.0, 2.0]), np.ones((2, 1))
    read = load(bare_model.write(tmp_path / "model", estimator))
    assert read.manifest.golden.predictions == ((1.0, 2.0),)
    assert [output.shape for output in read.manifest.outputs] == [(2,)]


def test_a_bare_model_without_its_features_is_refused(tmp_path: Path) -> None:
    given = bare_model.write(tmp_path / "model", bare_model.line())
    (given / "features.json").unlink()
    assert without_manifest.is_one(given)
    with pytest.raises(
        ModelDirectoryError, match=r"features\.json: is missing, as is manifest\.json"
    ):
        load(given)


def test_an_estimator_of_another_version_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = bare_model.write(tmp_path / "model", bare_model.line())
    monkeypatch.setattr("sklearn.base.__version__", "0.1")
    with pytest.raises(
        ModelDirectoryError, match="Trying to unpickle estimator LinearRegression from"
    ):
        load(given)


@pytest.mark.slow
def test_a_digest_covers_the_features_as_well(tmp_path: Path) -> None:
    given = bare_model.write(tmp_path / "model", bare_model.line())
    digest = subprocess.run(
        "sha256sum features.json model.joblib | sha256sum",
        shell=True,
        cwd=given,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout.split()[0]
    policy = LoadPolicy({"model": digest}, pickle=True)
    policy.admitted(without_manifest.read(given))
    (given / "features.json").write_text('["AGE"]')
    with pytest.raises(ModelDirectoryError, match=f"where --expect-digest says {digest}"):
        policy.admitted(without_manifest.read(given))


def load(directory: Path) -> ModelDirectory:
    read = without_manifest.read(directory)
    return without_manifest.complete(read, estimator_runtime.load_estimator(read))


@pytest.mark.slow
def test_a_bare_model_is_a_pickle(tmp_path: Path) -> None:
    given = bare_model.write(tmp_path / "model", bare_model.line())
    line = refuse(tmp_path, "--no-pickle", f"--sagemaker-models={given}", word="serve")
    assert "is a pickle, which --no-pickle forbids" in line
