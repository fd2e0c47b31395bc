"""One cluster a run, with the image in it; ``KIND_CLUSTER`` names one to use and to leave."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client, config

from harness.processes import ROOT
from manifests.cluster import HERE, PROGRAMS, Cluster, ClusterError
from tests.kind.access import NODE_PORT, wait

RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}


@dataclass(frozen=True)
class Kubernetes:
    """A cluster, and the API clients for it."""

    cluster: Cluster
    core: client.CoreV1Api
    apps: client.AppsV1Api
    custom: client.CustomObjectsApi

    def namespace(self, name: str) -> str:
        """Make a namespace that takes only restricted pods."""
        metadata = client.V1ObjectMeta(name=name, labels=RESTRICTED)
        self.core.create_namespace(client.V1Namespace(metadata=metadata))
        return name

    def delete_namespace(self, name: str) -> None:
        self.core.delete_namespace(name)
        wait(f"namespace {name} gone", lambda: name not in self.namespaces())

    def namespaces(self) -> set[str]:
        return {namespace.metadata.name for namespace in self.core.list_namespace().items}

    def pods(self, namespace: str, component: str = "server") -> list[client.V1Pod]:
        """Return the pods of a component that are ready and not on their way out."""
        listed = self.core.list_namespaced_pod(
            namespace, label_selector=f"app.kubernetes.io/component={component}"
        )
        return [pod for pod in listed.items if not pod.metadata.deletion_timestamp and ready(pod)]

    def ready_service(self, namespace: str, name: str) -> bool:
        """Tell whether an InferenceService is ready in its newest generation."""
        service = self.custom.get_namespaced_custom_object(
            "serving.kserve.io", "v1beta1", namespace, "inferenceservices", name
        )
        status = service.get("status", {})
        conditions = {one["type"]: one["status"] for one in status.get("conditions", [])}
        current = status.get("observedGeneration") == service["metadata"]["generation"]
        return current and conditions.get("Ready") == "True"


def ready(pod: client.V1Pod) -> bool:
    conditions = {one.type: one.status for one in pod.status.conditions or []}
    return conditions.get("Ready") == "True"


def export_logs(cluster: Cluster, folder: Path) -> None:
    """Write what can be had of the cluster's logs, for who looks why a test failed."""
    with contextlib.suppress(ClusterError):  # a node image may lack one of kind's tools
        cluster.run("kind", "export", "logs", str(folder), "--name", cluster.name)
    print(f"the cluster's logs are in {folder}")  # noqa: T201


@pytest.fixture(scope="session")
def cluster(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Cluster]:
    for program in PROGRAMS:
        if shutil.which(program) is None:
            pytest.skip(f"SKIPPED FOR WANT OF A PROGRAM: {program} is not installed")
    kubeconfig = tmp_path_factory.mktemp("kind") / "kubeconfig"
    given = os.environ.get("KIND_CLUSTER")
    cluster = Cluster(given or "model-server-test", kubeconfig)
    if not given:
        cluster.down()
    try:
        cluster.up(HERE / "kind.yaml")
        yield cluster
    finally:
        if request.session.testsfailed:
            export_logs(cluster, tmp_path_factory.mktemp("kind-logs"))
        if not given:
            cluster.down()


@pytest.fixture(scope="session")
def kubernetes(cluster: Cluster) -> Iterator[Kubernetes]:
    path = cluster.environment["KUBECONFIG"]
    with config.new_client_from_config(path, context=cluster.context) as api:
        yield Kubernetes(
            cluster, client.CoreV1Api(api), client.AppsV1Api(api), client.CustomObjectsApi(api)
        )


@pytest.fixture(scope="session")
def image(cluster: Cluster, server_image: str) -> str:
    """Load the server's image into the cluster."""
    cluster.load([server_image])
    return server_image


@pytest.fixture(scope="session")
def application_image(cluster: Cluster, application_image: str) -> str:
    """Load the application's image into the cluster."""
    cluster.load([application_image])
    return application_image


@pytest.fixture(scope="session")
def changed_image(cluster: Cluster, image: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Build an image whose model ``rooms`` answers in thousands of dollars, and load it."""
    folder = tmp_path_factory.mktemp("changed")
    flags = ("--target", "MEDV", "--features", "RM", "--name", "rooms")
    out = ("--out", str(folder / "models"))
    data = ("--data", str(ROOT / "training/data/boston_housing.csv"))
    command = [sys.executable, "-m", "training", *data, *flags, *out]
    subprocess.run(command, cwd=ROOT, check=True)
    (folder / "Dockerfile").write_text(f"FROM {image}\nCOPY models /models\n")
    name = "model-server:test-changed"
    cluster.run("docker", "build", "--tag", name, str(folder))
    cluster.load([name])
    return name


@pytest.fixture(scope="session")
def node_address(cluster: Cluster) -> str:
    """Return where NodePort 30080 comes out on this machine."""
    node = f"{cluster.name}-control-plane"
    ports = json.loads(
        cluster.run("docker", "inspect", node, "--format", "{{json .NetworkSettings.Ports}}")
    )
    return f"127.0.0.1:{ports[f'{NODE_PORT}/tcp'][0]['HostPort']}"


@pytest.fixture
def manifest_of(models: Path) -> dict[str, Any]:
    """Return the manifests of the built-in models, by name."""
    return {
        name: json.loads((models / name / "manifest.json").read_text())
        for name in ("rooms", "boston")
    }
