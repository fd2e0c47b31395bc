"""A training job as it is read from the platform's files."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.training import samples
from tests.training.jobs import Job
from training import boston
from training.errors import TrainingError
from training.sagemaker import training_job
from training.settings import Settings

FLATS = samples.text(samples.table(), "shape", "area", "price", "class")


@pytest.fixture
def flats(tmp_path: Path) -> Job:
    """A job with one file in its training channel, and a target."""
    made = Job(tmp_path)
    made.put("training/flats.csv", FLATS)
    made.hyperparameters(target="price")
    return made


def test_with_no_settings_it_is_medv_from_rm_in_dollars(tmp_path: Path) -> None:
    made = Job(tmp_path)
    made.put("training/boston.csv", boston.DATA.read_text())
    made.put("validation/boston.csv", boston.DATA.read_text())
    read = training_job.read(tmp_path)
    [(rooms, card), _] = boston.models()
    assert read.settings == Settings()
    assert read.card == card
    assert read.dataset.digest == rooms.digest
    assert read.dataset.rising == ("RM",)
    assert read.held is not None
    assert read.held.y.tolist() == rooms.y.tolist()


def test_the_built_in_model_takes_a_name(tmp_path: Path) -> None:
    made = Job(tmp_path)
    made.put("training/boston.csv", boston.DATA.read_text())
    made.hyperparameters(name="homes")
    assert training_job.read(tmp_path).card.name == "homes"


@pytest.mark.parametrize(
    "texts",
    [
        {"target": "price", "features": "area", "n_estimators": "20"},
        {"target": '"price"', "features": '"area"', "n_estimators": '"20"'},
        {"target": '"price"', "features": '["area"]', "n_estimators": "20"},
        {"target": "price", "features": '"[\\"area\\"]"', "n_estimators": "20"},
        {"target": "price", "features": ["area"], "n_estimators": 20},
        {
            "target": "price",
            "features": "area",
            "n_estimators": "20",
            "sagemaker_program": '"train.py"',
            "sagemaker_region": "nowhere",
            "_tuning_objective_metric": "validation:rmse",
        },
    ],
)
def test_hyperparameters_as_clients_write_them(flats: Job, texts: Any) -> None:
    flats.hyperparameters(**texts)
    read = training_job.read(flats.root)
    assert read.settings == Settings(target="price", features=("area",), n_estimators=20)
    assert [feature.name for feature in read.dataset.features] == ["area"]
    assert (read.card.name, read.card.source) == ("model", "flats.csv")


def test_all_other_columns_are_read_where_no_features_are_named(flats: Job) -> None:
    names = [feature.name for feature in training_job.read(flats.root).dataset.features]
    assert names == ["shape", "area", "class"]


def test_files_of_a_channel_are_one_table(tmp_path: Path) -> None:
    made = Job(tmp_path)
    tables = {f"{number:02}": samples.table(20, number) for number in range(9)}
    for name, table in reversed(tables.items()):
        made.put(f"training/{name}.csv", samples.text(table, "area", "price"))
    made.put("training/09.CSV", samples.text(samples.table(20, 9), "price", "area"))
    made.put("training/more/0.csv", samples.text(samples.table(20, 10), "area", "price"))
    for name in (".hidden.csv", ".more/c.csv", "flats-manifest", "readme.txt"):
        made.put(f"training/{name}", "no table")
    made.hyperparameters(target="price")
    read = training_job.read(tmp_path)
    cells = [cell for seed in range(11) for cell in samples.table(20, seed)["area"]]
    assert read.dataset.X[:, 0].tolist() == [float(cell) for cell in cells]
    assert read.card.source == "11 CSV files"


def test_channels_that_are_not_read_are_known(flats: Job) -> None:
    channels = {"training": {"TrainingInputMode": "FastFile"}, "code": {}}
    flats.config("inputdataconfig", channels)
    assert training_job.read(flats.root).ignored == ["code"]


def test_one_host_trains(flats: Job) -> None:
    flats.config("resourceconfig", {"current_host": "algo-1", "hosts": ["algo-1"]})
    assert training_job.read(flats.root).held is None


def refused(made: Job) -> str:
    with pytest.raises(TrainingError) as told:
        training_job.read(made.root)
    assert re.fullmatch(r"[^\n]+; [^\n]+", str(told.value))
    return str(told.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("hyperparameters", {"goal": "y"}, "'goal' can't be set; what can is target, features, "),
        ("hyperparameters", {"n_estimators": "0"}, "n_estimators: '0' is not a whole number from"),
        ("hyperparameters", {"seed": None}, "seed: 'null' is not a whole number from 0 to"),
        ("hyperparameters", {"features": "area"}, "features: needs a target; set target to the"),
        ("hyperparameters", {"task": "regression"}, "task: needs a target; set target to the"),
        ("hyperparameters", {"target": "price", "name": "a/b"}, "model name 'a/b' is refused; use"),
        ("hyperparameters", "{", "hyperparameters.json: is not JSON (Expecting property name"),
        ("hyperparameters", "[]", "hyperparameters.json: is not a JSON object; correct it"),
        (
            "resourceconfig",
            {"hosts": ["algo-1", "algo-2"]},
            "the job has 2 instances, and one trains; set its InstanceCount to 1",
        ),
        (
            "inputdataconfig",
            {"training": {"TrainingInputMode": "Pipe"}},
            "channel 'training': its input mode is Pipe; set it to File or FastFile",
        ),
        (
            "inputdataconfig",
            {"training": {}, "validation": {}},
            "channel 'validation': {root}/input/data/validation: can't be read (No such file or ",
        ),
    ],
)
def test_a_config_that_is_refused(flats: Job, name: str, content: Any, message: str) -> None:
    flats.config(name, content)
    told = refused(flats)
    assert message.replace("{root}", str(flats.root)) in told
    assert name != "hyperparameters" or "channel" not in told


def test_a_config_that_is_a_folder(flats: Job) -> None:
    (flats.root / "input/config/resourceconfig.json").mkdir()
    assert "resourceconfig.json: can't be read (Is a directory); check its" in refused(flats)


def test_no_channel(tmp_path: Path) -> None:
    made = Job(tmp_path)
    assert refused(made) == "there is no channel 'training'; add one with CSV files"
    made.config("inputdataconfig", {"train": {}, "test": {}})
    assert refused(made).startswith("there is no channel 'training' but train, test; add one")


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("a.csv", "", "{channel}: {folder}/a.csv: is empty; give a CSV file"),
        ("a.csv", "shape,area,price,class\n", "{channel}: {folder}/a.csv: has a header but no"),
        ("a.csv", "1,2.5\n3,4\n", "{channel}: {folder}/a.csv: its first line holds only numbers"),
        (
            "a.csv",
            "shape,price,class\nflat,1,cheap\n",
            "{channel}: column 'area' is in flats.csv but not in a.csv; give every file the same",
        ),
        (
            "z.csv",
            "shape,area,price,class,extra\nflat,1,1,cheap,1\n",
            "{channel}: column 'extra' is in z.csv but not in flats.csv; give every file",
        ),
        ("more/a.csv", "a,a\n1,2\n", "{channel}: {folder}/more/a.csv: column 'a' is there twice"),
        (
            "z.csv",
            "price,class,area,shape\n1,cheap,1,flat\n1,cheap,six,flat\n",
            "{channel}: z.csv: column 'area', row 2: 'six' is not a number, as others are in it",
        ),
        (
            "a.csv",
            "price,class,area,shape\n1,cheap,1,flat\n,cheap,1,flat\n",
            "{channel}: a.csv: column 'price', row 2: the cell is empty; fill or drop the row",
        ),
    ],
)
@pytest.mark.parametrize("name", ["training", "validation"])
def test_a_file_that_is_refused(flats: Job, name: str, file: str, text: str, message: str) -> None:
    flats.put("validation/flats.csv", FLATS)
    flats.put(f"{name}/{file}", text)
    folder = str(flats.root / "input" / "data" / name)
    expected = message.replace("{channel}", f"channel {name!r}").replace("{folder}", folder)
    assert refused(flats).startswith(expected)


def test_a_channel_without_a_csv_file(tmp_path: Path) -> None:
    made = Job(tmp_path)
    made.put("training/flats.parquet", "")
    folder = tmp_path / "input" / "data" / "training"
    assert refused(made).startswith(f"channel 'training': {folder}: holds no CSV file; give it")


def test_a_table_that_is_refused_as_a_whole(flats: Job) -> None:
    flats.hyperparameters(target="rent")
    assert refused(flats) == (
        "channel 'training': there is no column 'rent'; the columns are shape, area, price, class"
    )
    flats.hyperparameters()
    assert refused(flats) == (
        "channel 'training': there is no column 'MEDV', which the built-in model 'rooms' is made "
        "of; set the target to one of shape, area, price, class"
    )


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["6,x"] + ["6,24"] * 20, "column 'MEDV', row 1: 'x' is not a number"),
        (["six,24", "six,23"] * 10, "column 'RM' holds texts, where 'rooms' reads numbers; "),
        (["6,low", "5,low"] * 10, "target 'MEDV' holds texts; set the task to classification"),
    ],
)
def test_texts_where_the_built_in_model_reads_numbers(
    tmp_path: Path, rows: list[str], message: str
) -> None:
    made = Job(tmp_path)
    made.put("training/a.csv", "\n".join(["RM,MEDV", *rows]))
    assert message in refused(made)


CELLS = samples.table(4, 1)


@pytest.mark.parametrize("target", ["price", "class", "stars"])
def test_rows_of_the_validation_are_read_as_those_of_the_training(
    tmp_path: Path, target: str
) -> None:
    made = Job(tmp_path)
    made.put("training/a.csv", samples.text(samples.table(), "shape", "area", target))
    made.put("validation/a.csv", samples.text(CELLS, target, "age", "area", "shape"))
    made.hyperparameters(
        target=target, task="regression" if target == "price" else "classification"
    )
    held = training_job.read(tmp_path).held
    assert held is not None
    assert held.frame["shape"].tolist() == CELLS["shape"]
    assert held.frame["area"].tolist() == [float(cell) for cell in CELLS["area"]]
    assert [str(label) for label in held.y.tolist()] == CELLS[target]


def test_labels_of_the_validation_are_compared_as_numbers(tmp_path: Path) -> None:
    made = Job(tmp_path)
    rows = [f"{row},{(1, 1.5)[row % 2]}" for row in range(30)]
    made.put("training/a.csv", "\n".join(["a,y", *rows]))
    made.put("validation/a.csv", "a,y\n1,1.0\n2,1.50\n")
    made.hyperparameters(target="y", task="classification")
    held = training_job.read(tmp_path).held
    assert held is not None
    assert held.y.tolist() == ["1", "1.5"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("shape,price,class\nflat,1,cheap\n", "there is no column 'area'; the columns are shape"),
        ("shape,area,class,price\nflat,1,dear,2\n", "1 row is too few; give at least 2"),
        (
            "shape,area,class,price\nflat,1,dear,2\nflat,1,mad,2\n",
            "a.csv: column 'class', row 2: 'mad' is in no row of the training, which has cheap, de",
        ),
        (
            "shape,area,class,price\nflat,1,dear,2\noval,1,dear,2\n",
            "a.csv: column 'shape', row 2: 'oval' is in no row of the training, which has flat, ro",
        ),
    ],
)
def test_a_validation_that_is_refused(flats: Job, text: str, message: str) -> None:
    flats.hyperparameters(target="class")
    flats.put("validation/a.csv", text)
    assert refused(flats).startswith(f"channel 'validation': {message}")
