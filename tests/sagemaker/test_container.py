"""The image under Amazon SageMaker's container contract, by ``docker run`` on its folders."""

import json
import re
import tarfile
from pathlib import Path

import pytest

from harness.processes import ROOT
from model_server.model import directory as model_directory
from tests.image.container import docker
from tests.sagemaker.optml import Job, endpoint, invoke
from tests.sagemaker.router import MOUNTED, Router
from training.sagemaker import metric_definitions

pytestmark = pytest.mark.needs("docker")

DATA = ROOT / "training" / "data" / "boston_housing.csv"
JSON, CSV = "application/json", "text/csv"


@pytest.fixture(scope="module")
def job(sagemaker_image: str, tmp_path_factory: pytest.TempPathFactory) -> Job:
    """A job with no hyperparameters on the Boston data in two files, done."""
    job = Job(tmp_path_factory.mktemp("job") / "ml")
    header, *rows = DATA.read_text().splitlines(keepends=True)
    files = {"a.csv": header + "".join(rows[:200]), "b.csv": header + "".join(rows[200:])}
    job.configure({"training": files, "validation": {"v.csv": header + "".join(rows[:50])}}, {})
    done = job.run(sagemaker_image)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not (job.root / "output/failure").exists()
    (job.root / "log").write_text(done.stdout)
    return job


def test_the_log_has_what_metric_definitions_look_for(job: Job) -> None:
    log = (job.root / "log").read_text()
    page = (ROOT / "docs" / "sagemaker.md").read_text()
    defined = [(one["Name"], one["Regex"]) for one in metric_definitions.DEFINITIONS]
    of_the_page = re.findall(r'{"Name": "(.+)", "Regex": "(.+)"}', page)
    assert len(of_the_page) == 2
    assert set(of_the_page) <= set(defined)
    found = {name: re.search(expression, log) for name, expression in defined}
    for score in ("mae", "rmse", "r2"):
        for origin in ("cross-validated", "validation"):
            match = found[f"{origin}:{score}"]
            assert match is not None
            assert float(match[1]) > 0


@pytest.mark.parametrize("user", [(), ("--user=65532:65532",), ("--user=12345:0",)])
def test_what_was_trained_is_served(sagemaker_image: str, job: Job, user: tuple[str, ...]) -> None:
    read = model_directory.read(job.root / "model" / "rooms")
    golden = read.manifest.golden
    flags = (f"--volume={job.root}/model:/opt/ml/model:ro", "--network=bridge")
    with endpoint(sagemaker_image, *flags, *user) as serving:
        ping = serving.client.get("/ping")
        assert (ping.status_code, ping.content) == (200, b"")
        rows = [list(row) for row in golden.instances]
        in_json = invoke(serving, json.dumps({"instances": rows}), JSON, JSON)
        lines = "".join(",".join(map(str, row)) + "\n" for row in rows)
        in_csv = invoke(serving, lines, CSV, CSV)
        expected = pytest.approx(golden.predictions, rel=1e-4)
        assert in_json.json()["predictions"] == expected
        assert [float(line) for line in in_csv.text.splitlines()] == expected
        assert serving.client.get("/v1/models").json() == {"models": ["rooms"]}
        docker("stop", "--time=30", serving.name)
        assert docker("inspect", "--format={{.State.ExitCode}}", serving.name) == "0"


def test_with_no_model_given_the_rooms_inside_are_served(sagemaker_image: str) -> None:
    """On the port that the platform names; an average of 6.5 rooms is worth some $20,000."""
    environment = ("--env=SAGEMAKER_BIND_TO_PORT=9090",)
    with endpoint(sagemaker_image, *environment, port=9090) as serving:
        [in_dollars] = invoke(serving, "RM\n6.5\n", CSV, JSON).json()["predictions"]
        assert 15_000 < in_dollars < 30_000
        assert invoke(serving, '{"instances": [[6.5]]}', JSON, CSV).text == f"{in_dollars}\n"


def test_a_training_that_fails_says_why(sagemaker_image: str, tmp_path: Path) -> None:
    job = Job(tmp_path / "ml")
    job.configure({"training": {"t.csv": "a,b\n1,2\n"}}, {"target": "price"})
    done = job.run(sagemaker_image)
    assert done.returncode != 0
    assert "there is no column 'price'" in job.failure
    assert job.failure.strip() in done.stderr
    assert list((job.root / "model").iterdir()) == []


@pytest.mark.parametrize(
    ("target", "written"), [("b", "model/model/manifest.json"), ("c", "output/failure")]
)
def test_it_writes_where_only_root_may(
    sagemaker_image: str, tmp_path: Path, target: str, written: str
) -> None:
    """The folders are as the platform mounts them, and the user is the one that the image names."""
    job = Job(tmp_path / "ml")
    table = "a,b\n" + "".join(f"{number},{2 * number}\n" for number in range(40))
    job.configure({"training": {"t.csv": table}}, {"target": target, "candidates": "linear"})
    folders = "/opt/ml /opt/ml/model /opt/ml/output"
    script = f"chown 0:0 {folders} && chmod 755 {folders} && stat -c '%u:%g %a' {folders}"
    mounted = (f"--volume={job.root}:/opt/ml", "--entrypoint=sh")
    owned = docker("run", "--rm", *mounted, sagemaker_image, "-c", script)
    assert owned.splitlines() == ["0:0 755"] * 3

    done = job.run(sagemaker_image)

    assert (done.returncode == 0) == (written != "output/failure"), done.stderr
    files = ("model/model/manifest.json", "output/failure")
    assert [file for file in files if (job.root / file).is_file()] == [written]


def test_a_user_who_may_not_write_is_told(sagemaker_image: str, tmp_path: Path) -> None:
    job = Job(tmp_path / "ml")
    rows = "".join(f"{number},{2 * number}\n" for number in range(40))
    job.configure({"training": {"t.csv": "a,b\n" + rows}}, {"target": "b", "candidates": "linear"})
    for place in (job.root, *(path for path in job.root.rglob("*") if path.is_dir())):
        place.chmod(0o755)
    done = job.run(sagemaker_image, "--user=12345:0")
    assert done.returncode != 0
    assert "can't be written" in done.stderr
    (job.root / "model").chmod(0o777)
    (job.root / "output").chmod(0o777)
    assert job.run(sagemaker_image, "--user=12345:0").returncode == 0
    assert model_directory.read(job.root / "model" / "model").manifest.name == "model"


def test_the_image_tells_the_platform_what_it_can(sagemaker_image: str) -> None:
    labels = json.loads(docker("inspect", "--format={{json .Config.Labels}}", sagemaker_image))
    for capability in ("multi-models", "accept-bind-to-port"):
        assert labels[f"com.amazonaws.sagemaker.capabilities.{capability}"] == "true"


def test_many_models_behind_a_router(sagemaker_image: str, models: Path, tmp_path: Path) -> None:
    for name in ("rooms", "boston"):
        with tarfile.open(tmp_path / f"{name}.tar.gz", "w:gz") as archive:
            archive.add(models / name, arcname=".")
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    flags = ("--env=SAGEMAKER_MULTI_MODEL=true", f"--volume={mounted}:{MOUNTED}:ro")
    with endpoint(sagemaker_image, *flags) as serving:
        router = Router(serving.url, tmp_path, mounted)
        for name in ("rooms", "boston", "rooms"):
            golden = model_directory.read(models / name).manifest.golden
            body = json.dumps({"instances": golden.instances}).encode()
            status, answer = router.invoke(f"{name}.tar.gz", body, {"content-type": JSON})
            assert status == 200
            expected = pytest.approx(golden.predictions, rel=1e-4)
            assert json.loads(answer)["predictions"] == expected
        assert len(router.loaded) == 2


def test_help_is_the_servers(sagemaker_image: str) -> None:
    for word in ((), ("serve",)):
        told = docker("run", "--rm", sagemaker_image, *word, "--help")
        assert told.startswith("usage: python -m model_server")
    assert "--root" in docker("run", "--rm", sagemaker_image, "train", "--help")
