"""A release through its life, in this order: installed, asked, scaled, upgraded, removed."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from kubernetes import client

from harness.processes import ROOT
from tests.kind.access import PAGE, Load, PortForward, expose, wait
from tests.kind.conftest import Kubernetes

pytestmark = pytest.mark.needs("docker", "kind", "kubectl", "helm")

CHART = str(ROOT / "charts/model-server")
NAME = "model-server"
SERVICE = f"{NAME}-predictor"
APPLICATION = f"{NAME}-application"


class Release:
    """The chart, installed in a namespace of its own."""

    def __init__(self, kubernetes: Kubernetes, namespace: str, application_image: str) -> None:
        self.kubernetes = kubernetes
        self.namespace = kubernetes.namespace(namespace)
        self._application_image = application_image

    def helm(self, command: str, *arguments: str) -> str:
        return self.kubernetes.cluster.helm(
            *command.split(), NAME, *arguments, "--namespace", self.namespace
        )

    def apply(self, image: str, **values: object) -> None:
        """Install or upgrade with an image and values, and wait until that is what runs."""
        for of, name in (("", image), ("application.", self._application_image)):
            repository, tag = name.split(":")
            values |= {f"{of}image.repository": repository, f"{of}image.tag": tag}
        flags = [f"--set={key}={value}" for key, value in values.items()]
        self.helm("upgrade --install", CHART, *flags)
        wait("rolled out", lambda: self.runs(image))

    def runs(self, image: str) -> bool:
        """Tell whether all pods run this image, or the application's, and are ready."""
        deployments = self.kubernetes.apps.list_namespaced_deployment(self.namespace).items
        images = {each.spec.template.spec.containers[0].image for each in deployments}
        return images == {image, self._application_image} and all(map(settled, deployments))

    def page(self, address: str) -> httpx.Response:
        """Ask the application as a browser does."""
        with PortForward(self.kubernetes.cluster, self.namespace, APPLICATION) as http:
            return http.get(address, headers=PAGE)


def settled(deployment: client.V1Deployment) -> bool:
    wanted, status = deployment.spec.replicas, deployment.status
    return bool(
        status.observed_generation == deployment.metadata.generation
        and wanted == status.replicas == status.updated_replicas == status.available_replicas
    )


@pytest.fixture(scope="module")
def release(kubernetes: Kubernetes, image: str, application_image: str) -> Iterator[Release]:
    release = Release(kubernetes, "release", application_image)
    try:
        release.apply(image)
        wait("ready", lambda: kubernetes.ready_service(release.namespace, NAME))
        expose(kubernetes.core, release.namespace, NAME)
        yield release
    finally:
        kubernetes.delete_namespace(release.namespace)


@pytest.fixture
def url(release: Release, node_address: str) -> str:
    return f"http://{node_address}/v1/models/rooms:predict"


@pytest.mark.parametrize("name", ["rooms", "boston"])
def test_golden_rows_come_out(release: Release, manifest_of: dict[str, Any], name: str) -> None:
    manifest = manifest_of[name]
    golden, tolerance = manifest["golden"], manifest["tolerance"]
    lines = "\n".join(",".join(map(str, row)) for row in golden["instances"])
    path = f"/v1/models/{name}:predict"
    with PortForward(release.kubernetes.cluster, release.namespace, SERVICE) as http:
        json_answer = http.post(path, json={"instances": golden["instances"]})
        csv_answer = http.post(
            path, content=lines, headers={"content-type": "text/csv", "accept": "text/csv"}
        )
    for predictions in (
        json_answer.json()["predictions"],
        [float(line) for line in csv_answer.text.splitlines()],
    ):
        np.testing.assert_allclose(
            predictions,
            golden["predictions"],
            rtol=tolerance["relative"],
            atol=tolerance["absolute"],
        )


def test_bad_input_is_told(release: Release) -> None:
    with PortForward(release.kubernetes.cluster, release.namespace, SERVICE) as http:
        wrong = http.post("/v1/models/rooms:predict", json={"instances": [["six"]]})
        unknown = http.post("/v1/models/nope:predict", json={"instances": [[6]]})
    assert wrong.status_code == 400
    assert wrong.json() == {
        "error": "row 1, feature 'RM': 'six' is not a number",
        "row": 1,
        "feature": "RM",
    }
    assert unknown.status_code == 404


def test_helm_test_passes(release: Release) -> None:
    assert "Phase:          Succeeded" in release.helm("test")


def test_the_page_tells_the_number_of_the_endpoint(release: Release) -> None:
    with PortForward(release.kubernetes.cluster, release.namespace, SERVICE) as http:
        asked = http.post("/v1/models/rooms:predict", json={"instances": [[6.5]]})
    [value] = asked.json()["predictions"]

    page = release.page("/?RM=6.5")

    assert page.status_code == 200
    assert f'<data value="{value}">' in page.text


def test_the_application_is_ready_without_the_server(release: Release, image: str) -> None:
    kubernetes, namespace = release.kubernetes, release.namespace
    scale = ("--namespace", namespace, "scale", f"deployment/{SERVICE}")
    [before] = kubernetes.pods(namespace, "application")
    kubernetes.cluster.kubectl(*scale, "--replicas=0")
    try:
        wait("the server is gone", lambda: names(release) == {before.metadata.name})
        kubernetes.core.delete_namespaced_pod(before.metadata.name, namespace)
        wait("the old pod is gone", lambda: before.metadata.name not in names(release))
        wait("the new one is ready", lambda: len(kubernetes.pods(namespace, "application")) == 1)
        page = release.page("/?RM=6.5")
        assert len(names(release)) == 1, "the server was away all the time"
    finally:
        kubernetes.cluster.kubectl(*scale, "--replicas=1")
        wait("the server is back", lambda: release.runs(image))
    assert page.status_code == 503
    assert "The model server can&#39;t be reached just now." in page.text


@pytest.mark.needs("wrk")
def test_it_scales_up_under_load_and_down_again(
    release: Release, image: str, node_address: str, tmp_path: Path
) -> None:
    release.apply(
        image,
        **{
            "resources.requests.cpu": "100m",
            "autoscaling.maxReplicas": 4,
            "autoscaling.cpuUtilization": 50,
            "autoscaling.behavior.scaleDown.stabilizationWindowSeconds": 0,
            "autoscaling.behavior.scaleDown.policies[0].type": "Percent",
            "autoscaling.behavior.scaleDown.policies[0].value": 100,
            "autoscaling.behavior.scaleDown.policies[0].periodSeconds": 15,
        },
    )
    assert len(release.kubernetes.pods(release.namespace)) == 1
    script = tmp_path / "post.lua"
    script.write_text(
        'wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\n'
        "wrk.body = '{\"instances\": [[6.5]]}'\n"
    )
    target = f"http://{node_address}/v1/models/rooms:predict"
    wrk = [str(shutil.which("wrk")), "-t1", "-c4", "-d180s", "-s", str(script), target]
    load = subprocess.Popen(wrk, stdout=subprocess.DEVNULL)
    try:
        wait("3 pods", lambda: len(release.kubernetes.pods(release.namespace)) >= 3)
    finally:
        load.terminate()
        load.wait()
    wait("1 pod", lambda: len(release.kubernetes.pods(release.namespace)) == 1, 300)


def test_an_upgrade_to_a_changed_model_loses_no_request(
    release: Release, image: str, changed_image: str, url: str
) -> None:
    release.apply(image)
    with Load(url) as load:
        wait("answers of the old model", lambda: load.predictions.total() > 100)
        release.apply(changed_image)
        [old] = [value for value in load.predictions if value > 1000]
        before = load.predictions[old]
        wait(
            "answers of the new model only",
            lambda: load.predictions.total() - load.predictions[old] > 200,
        )
        assert load.predictions[old] >= before
    assert load.failures == []
    new = [value for value in load.predictions if value < 1000]
    assert len(new) == 1
    assert old == pytest.approx(new[0] * 1000, rel=0.2)


def test_a_deleted_pod_loses_no_request(release: Release, changed_image: str, url: str) -> None:
    release.apply(changed_image, **{"autoscaling.minReplicas": 2})
    wait("2 pods", lambda: len(release.kubernetes.pods(release.namespace)) == 2)
    victim = release.kubernetes.pods(release.namespace)[0].metadata.name
    with Load(url) as load:
        wait("answers", lambda: load.predictions.total() > 100)
        release.kubernetes.core.delete_namespaced_pod(victim, release.namespace)
        wait("pod gone", lambda: victim not in names(release))
        wait("2 pods again", lambda: len(release.kubernetes.pods(release.namespace)) == 2)
    assert load.failures == []


def test_uninstall_leaves_nothing(release: Release) -> None:
    release.kubernetes.core.delete_namespaced_service("node-port", release.namespace)
    release.helm("uninstall", "--wait")
    kinds = "all,inferenceservice,hpa,pdb,networkpolicy,ingress,serviceaccount,configmap,secret"
    kept = {"serviceaccount/default", "configmap/kube-root-ca.crt", ""}

    def left() -> set[str]:
        listed = release.kubernetes.cluster.kubectl(
            "get", kinds, "--namespace", release.namespace, "--output", "name"
        )
        return set(listed.splitlines()) - kept

    wait("nothing left", lambda: not left())


def test_without_kserve(
    kubernetes: Kubernetes, image: str, application_image: str, manifest_of: dict[str, Any]
) -> None:
    release = Release(kubernetes, "plain", application_image)
    try:
        release.apply(image, mode="deployment", replicas=1)
        golden = manifest_of["rooms"]["golden"]
        with PortForward(kubernetes.cluster, release.namespace, NAME) as http:
            answer = http.post("/v1/models/rooms:predict", json={"instances": golden["instances"]})
        assert answer.json()["predictions"] == pytest.approx(golden["predictions"], rel=1e-4)
        assert '<data value="' in release.page("/?RM=6.5").text
        assert "Phase:          Succeeded" in release.helm("test")
        release.helm("uninstall", "--wait")
    finally:
        kubernetes.delete_namespace(release.namespace)


def test_kustomize(
    kubernetes: Kubernetes, image: str, application_image: str, tmp_path: Path
) -> None:
    shutil.copytree(ROOT / "manifests", tmp_path / "manifests")
    tags = {NAME: image.split(":")[1], APPLICATION: application_image.split(":")[1]}
    images = [{"name": name, "newTag": tag} for name, tag in tags.items()]
    (tmp_path / "kustomization.yaml").write_text(
        json.dumps({"resources": ["manifests"], "images": images})
    )
    cluster = kubernetes.cluster
    try:
        cluster.kubectl("apply", "--kustomize", str(tmp_path))
        wait("ready", lambda: kubernetes.ready_service("model-server", NAME))
        wait("a page", lambda: len(kubernetes.pods("model-server", "application")) == 1)
        with PortForward(cluster, "model-server", SERVICE) as http:
            answer = http.post("/v1/models/rooms:predict", json={"instances": [[6.5]]})
        assert answer.status_code == 200
        with PortForward(cluster, "model-server", APPLICATION) as http:
            # a pod is ready a moment before each node knows the way to it
            wait("a value", lambda: http.get("/?RM=6.5", headers=PAGE).status_code == 200)
            page = http.get("/?RM=6.5", headers=PAGE)
        assert f'<data value="{answer.json()["predictions"][0]}">' in page.text
    finally:
        cluster.kubectl("delete", "--kustomize", str(tmp_path), "--ignore-not-found", "--wait")


def names(release: Release) -> set[str]:
    listed = release.kubernetes.core.list_namespaced_pod(release.namespace).items
    return {pod.metadata.name for pod in listed}
