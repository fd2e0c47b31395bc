"""The command line as a process of its own."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from model_server.model import directory as model_directory
from model_server.model import loading
from model_server.model.columns import Columns
from tests.training import samples
from tests.training.conftest import Run


def rows(count: int, target: str = "") -> str:
    return "".join(f"{index},{index % 7},{target or index}\n" for index in range(count))


HEADER = "a,b,y\n"
GOOD = HEADER + rows(30)


def test_help_names_every_option_and_gives_an_example(run: Run) -> None:
    done = run("--help")
    assert done.returncode == 0
    for option in ("--out", "--seed", "--data", "--target", "--features", "--name", "--task"):
        assert option in done.stdout
    assert "python -m training --data" in done.stdout


def test_two_models_are_made(models: Path) -> None:
    assert [path.name for path in model_directory.find(models)] == ["boston", "rooms"]
    assert not [path for path in models.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize(
    ("content", "arguments", "message"),
    [
        ("", ["--target", "y"], "is empty"),
        (HEADER, ["--target", "y"], "has a header but no rows"),
        ("a,a,y\n" + rows(30), ["--target", "y"], "column 'a' is there twice"),
        ("a,,y\n" + rows(30), ["--target", "y"], "column 2 has no name"),
        (GOOD + "1,2\n", ["--target", "y"], "row 31 has 2 cells, the header has 3"),
        (GOOD, ["--target", "z"], "there is no column 'z'; the columns are a, b, y"),
        (GOOD, ["--target", "y", "--features", "a,c"], "there is no column 'c'; the columns are"),
        (GOOD, ["--target", "y", "--features", "a,a"], "feature 'a' is named twice"),
        (GOOD, ["--target", "y", "--features", "a,y"], "'y' is the target"),
        (GOOD + "x,2,3\n", ["--target", "y"], "column 'a', row 31: 'x' is not a number"),
        (GOOD + "1_0,2,3\n", ["--target", "y"], "column 'a', row 31: '1_0' is not a number"),
        (GOOD + "1,,3\n", ["--target", "y"], "column 'b', row 31: the cell is empty"),
        (GOOD + "1,nan,3\n", ["--target", "y"], "column 'b', row 31: 'nan' is not finite"),
        (GOOD + "1,2,x\n", ["--target", "y"], "column 'y', row 31: 'x' is not a number"),
        (HEADER + rows(19), ["--target", "y"], "19 rows are too few; give at least 20"),
        (HEADER + rows(30, "5"), ["--target", "y"], "target 'y' is '5' in every row"),
        (GOOD, ["--target", "y", "--name", "a/b"], "model name 'a/b' is refused"),
        (GOOD, ["--target", "y", "--task", "classification"], "class 0 is in 1 rows, too few"),
        (GOOD, [], "--data needs --target"),
        (
            "a,y\n" + "".join(f"t{index},{index}\n" for index in range(60)),
            ["--target", "y"],
            "column 'a' has 60 different texts, 50 at most",
        ),
    ],
)
def test_bad_input_is_one_clear_line(
    run: Run, csv: Callable[[str], Path], content: str, arguments: Any, message: str
) -> None:
    data = csv(content)
    out = data.parent / "out"
    done = run("--data", data, "--out", out, *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert re.fullmatch(r"error: [^\n]+; [^\n]+\n", done.stderr)
    assert not out.exists()


def test_a_missing_file_is_one_clear_line(run: Run, tmp_path: Path) -> None:
    done = run("--data", tmp_path / "none.csv", "--target", "y")
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {tmp_path / 'none.csv'}: can't be read (No such file")


def test_options_of_an_own_model_need_data(run: Run) -> None:
    done = run("--target", "y")
    assert (done.returncode, done.stderr) == (2, "error: --target needs --data; name a CSV file\n")


def test_a_place_that_is_a_file_is_one_clear_line(
    run: Run, csv: Callable[[str], Path], tmp_path: Path
) -> None:
    done = run("--data", csv(GOOD), "--target", "y", "--out", tmp_path / "own.csv")
    assert done.returncode == 2
    assert re.fullmatch(r"error: \S+/own\.csv/own: can't be written \(.+\); .+\n", done.stderr)


@pytest.fixture(scope="module")
def flats(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A model of flats: its data and the directory that was made from it."""
    folder = tmp_path_factory.mktemp("flats")
    data = folder / "flats.csv"
    data.write_text(samples.text(samples.table(), "shape", "area", "age", "price"))
    done = run("--data", data, "--target", "price", "--features", "area,shape", "--out", folder)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert f"written: {folder / 'flats'}" in done.stdout
    return data, folder / "flats"


def test_an_own_table_makes_a_regressor(flats: Any) -> None:
    manifest = model_directory.read(flats[1]).manifest
    assert manifest.task == "regression"
    assert [(feature.name, feature.type) for feature in manifest.features] == [
        ("area", "number"),
        ("shape", "category"),
    ]
    assert manifest.metrics["rmse"].mean < manifest.metrics["rmse"].baseline / 2


def test_a_second_run_writes_the_same_bytes(run: Run, flats: Any, tmp_path: Path) -> None:
    data, directory = flats
    done = run("--data", data, "--target", "price", "--features", "area,shape", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    first, second = (
        {path.name: path.read_bytes() for path in folder.iterdir()}
        for folder in (directory, tmp_path / "flats")
    )
    assert first.keys() == second.keys()
    for name, content in first.items():
        assert content == second[name], name


def test_texts_are_features_and_classes(
    run: Run, csv: Callable[[str], Path], tmp_path: Path
) -> None:
    cells = samples.table()
    data = csv(samples.text(cells, "shape", "area", "age", "class"))
    done = run("--data", data, "--target", "class", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    read = model_directory.read(tmp_path / "own")
    assert read.manifest.task == "classification"
    assert read.manifest.target.classes == ("cheap", "dear")
    assert read.manifest.features[0].categories == tuple(sorted(samples.SHAPES))
    assert read.manifest.metrics["accuracy"].mean > 0.8
    X = Columns(read.manifest.features).read([["round", 9.0, 0.0], ["flat", 1.0, 39.0]])
    assert loading.load(read).predict(X).tolist() == ["dear", "cheap"]
