"""The dev loop: what skaffold deploys answers, and an edit reaches the running pod."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from harness.ports import reserve_port
from harness.processes import ROOT
from tests.kind.access import PAGE, PortForward, wait
from tests.kind.conftest import Kubernetes

pytestmark = pytest.mark.needs("docker", "kind", "kubectl", "helm", "skaffold")

NAMESPACE = "model-server"
PARTS = [
    *("model_server", "application", "training", "requirements", "charts"),
    *("Dockerfile", ".dockerignore", "skaffold.yaml", "start.sh"),
]


class Skaffold:
    """Skaffold on a copy of the project, in the tests' cluster."""

    def __init__(self, kubernetes: Kubernetes, folder: Path) -> None:
        self.folder = folder
        for part in PARTS:
            copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
            copy(ROOT / part, folder / part)
        self._kubernetes = kubernetes
        self._environment = {**kubernetes.cluster.environment, "SKAFFOLD_INTERACTIVE": "false"}

    def command(self, name: str, *flags: str) -> list[str]:
        context = ("--kube-context", self._kubernetes.cluster.context)
        return ["skaffold", name, *flags, *(() if name == "diagnose" else context)]

    def run(self, name: str, *flags: str) -> str:
        ended = subprocess.run(
            self.command(name, *flags),
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout + ended.stderr

    def start(self, log: Path, *flags: str) -> subprocess.Popen[bytes]:
        with log.open("wb") as stream:
            return subprocess.Popen(
                self.command("dev", *flags),
                cwd=self.folder,
                env=self._environment,
                stdout=stream,
                stderr=stream,
            )

    def clean(self) -> None:
        self.run("delete")
        if NAMESPACE in self._kubernetes.namespaces():
            self._kubernetes.delete_namespace(NAMESPACE)


@pytest.fixture
def skaffold(kubernetes: Kubernetes, tmp_path: Path) -> Iterator[Skaffold]:
    folder = tmp_path / "project"
    folder.mkdir()
    skaffold = Skaffold(kubernetes, folder)
    yield skaffold
    skaffold.clean()


def test_diagnose_is_clean(tmp_path: Path, kubernetes: Kubernetes) -> None:
    (tmp_path / "project").mkdir()
    output = Skaffold(kubernetes, tmp_path / "project").run("diagnose")
    assert "level=" not in output, "skaffold logs warnings and errors with their level"
    assert "failed" not in output
    assert "Number of artifacts: 2" in output


@pytest.mark.parametrize(
    ("profile", "service"), [("kserve", "model-server-predictor"), ("deployment", "model-server")]
)
def test_run_deploys_what_answers(
    kubernetes: Kubernetes, skaffold: Skaffold, profile: str, service: str
) -> None:
    skaffold.run("run", "--profile", profile)
    wait("ready", lambda: len(kubernetes.pods(NAMESPACE)) == 1)
    wait("a page", lambda: len(kubernetes.pods(NAMESPACE, "application")) == 1)
    with PortForward(kubernetes.cluster, NAMESPACE, service) as http:
        answer = http.post("/v1/models/rooms:predict", json={"instances": [[6.5]]})
    with PortForward(kubernetes.cluster, NAMESPACE, "model-server-application") as http:
        # the node's routes to a Service follow its pods' readiness by some seconds
        wait("a value", lambda: http.get("/?RM=6.5", headers=PAGE).status_code == 200)
        page = http.get("/?RM=6.5", headers=PAGE)
    assert answer.status_code == 200
    assert f'<data value="{answer.json()["predictions"][0]}">' in page.text


def test_dev_brings_edits_into_the_cluster(
    kubernetes: Kubernetes, skaffold: Skaffold, tmp_path: Path
) -> None:
    port, application_port = reserve_port(), reserve_port()
    settings = yaml.safe_load((skaffold.folder / "skaffold.yaml").read_text())
    for one, local in zip(settings["portForward"], (port, application_port), strict=True):
        one["localPort"] = local
    (skaffold.folder / "skaffold.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
    log = tmp_path / "log"
    development = skaffold.start(log)
    try:
        wait("watching", lambda: "Watching for changes" in log.read_text(), 300)
        [pod] = kubernetes.pods(NAMESPACE)
        assert "Home value" in text_of(forwarded(log, "model-server-application") + "/")
        schema = skaffold.folder / "model_server/model/signature.py"
        before = schema.read_text()
        assert '"title": column.name' in before
        schema.write_text(before.replace('"title": column.name', '"title": "EDITED"'))
        url = forwarded(log, "model-server-predictor") + "/v1/models/rooms/schema"
        wait("the edit is served", lambda: "EDITED" in text_of(url), 60)
        template = skaffold.folder / "application/templates/base.html"
        template.write_text(template.read_text().replace("Home value", "EDITED"))
        wait(
            "the edited page is served",
            lambda: "EDITED" in text_of(forwarded(log, "model-server-application") + "/"),
            300,
        )
        assert [one.metadata.name for one in kubernetes.pods(NAMESPACE)] == [pod.metadata.name]
    finally:
        development.terminate()
        development.wait(120)
        print(log.read_text())  # noqa: T201


def forwarded(log: Path, service: str) -> str:
    """Return where a service is reached, by what skaffold told last: a port may be taken yet."""
    told = re.findall(rf"service/{service} .*-> (http://127\.0\.0\.1:\d+)", log.read_text())
    return str(told[-1])


def text_of(url: str) -> str:
    """Return what a URL answers, or nothing while the server starts again."""
    try:
        return httpx.get(url).text
    except httpx.TransportError:
        return ""
