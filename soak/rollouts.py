"""Rollouts: pods come and go under a steady load from inside the cluster, and no request fails.

Every attempt counts: a connection that is refused, one that ends without an answer, any status but
200. Nothing is sent again. The clients honour ``Connection: close``.
"""

import json
import logging
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness.processes import ROOT
from manifests.cluster import HERE, Cluster, ClusterError
from soak.scenario import Outcome

log = logging.getLogger("soak")

_NAMESPACE = "rollouts"
_NAME = "model-server"
_REPLICAS = 3
_IMAGE = "model-server:soak"
_SCRIPTS = ("harness/http_client.py", "soak/steady.py")
_DEADLINE_S = 120
_RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}


def run(
    models: Path,  # noqa: ARG001 - the image holds its own
    folder: Path,
    *,
    requests: int = 500_000,
    rounds: int = 3,
) -> Outcome:
    """Disturb a release in a kind cluster: that of ``KIND_CLUSTER``, or one made for it.

    Parameters
    ----------
    models : Path
        Not used: the image holds its own.
    folder : Path
        For access to the cluster.
    requests : int
        How many there must be at least.
    rounds : int
        How often each disturbance comes at least.
    """
    given = os.environ.get("KIND_CLUSTER")
    cluster = Cluster(given or "model-server-soak", folder / "kubeconfig")
    try:
        cluster.up(HERE / "kind.yaml")
        cluster.run("docker", "build", "--quiet", "--tag", _IMAGE, str(ROOT))
        cluster.load([_IMAGE])
        return disturb(cluster, _IMAGE, requests=requests, rounds=rounds)
    finally:
        if not given:
            cluster.down()


def disturb(cluster: Cluster, image: str, *, requests: int, rounds: int) -> Outcome:
    """Update, delete, scale and evict the pods of a release under load.

    Parameters
    ----------
    cluster : Cluster
        Is up, and knows the image.
    image : str
        Of the server, as ``repository:tag``.
    requests, rounds : int
        As for `run`.
    """
    with _release(cluster, image) as release, _load(cluster) as load:
        number, begun = 0, time.monotonic()
        while number < rounds or load.told["answered"] < requests:
            number += 1
            release.update(number)
            release.delete_one()
            release.scale_down()
            release.evict_all()
            log.info("rollouts: round %d: %s", number, load.told)
        minutes = (time.monotonic() - begun) / 60
    told = load.told
    failures = f": {told['failures']}" if told["failures"] else ""
    return Outcome(
        asked="rolling update, pod deletion, scale-down and eviction under load from inside the "
        f"cluster: 0 failures of at least {requests:,} requests, none sent again",
        seen=f"{told['failed']} failures{failures} of {told['answered'] + told['failed']:,} "
        f"requests in {minutes:.1f} min with {number} of each disturbance; the slowest answer "
        f"took {told['slowest_s']:.2f} s",
        held=told["failed"] == 0 and told["answered"] >= requests,
    )


class Release:
    """The chart as a Deployment of three pods, and what is done to it.

    Parameters
    ----------
    cluster : Cluster
    image : str
    """

    def __init__(self, cluster: Cluster, image: str) -> None:
        self._cluster = cluster
        repository, _, tag = image.rpartition(":")
        self._values = {
            "mode": "deployment",
            "application.enabled": "false",
            "autoscaling.type": "none",
            "replicas": _REPLICAS,
            "image.repository": repository,
            "image.tag": tag,
            "resources.requests.cpu": "50m",
        }

    def update(self, number: int) -> None:
        """Roll out pods that differ by an annotation; the first time, install."""
        flags = [f"--set={key}={value}" for key, value in self._values.items()]
        self._cluster.helm(
            *("upgrade", "--install", _NAME, str(ROOT / "charts/model-server"), *flags),
            *(f"--set-string=podAnnotations.number={number}", "--namespace", _NAMESPACE),
            *("--wait", "--timeout", f"{_DEADLINE_S}s"),
        )
        self._settle()

    def delete_one(self) -> None:
        """Delete a pod."""
        self._kubectl("delete", self._pods()[0], f"--timeout={_DEADLINE_S}s")
        self._settle()

    def scale_down(self) -> None:
        """Scale to one pod, and up again."""
        for replicas in (1, _REPLICAS):
            self._kubectl("scale", f"deployment/{_NAME}", f"--replicas={replicas}")
            self._settle()

    def evict_all(self) -> None:
        """Evict each pod, as soon as the disruption budget lets it go."""
        for pod in self._pods():
            name = pod.removeprefix("pod/")
            eviction = {
                "apiVersion": "policy/v1",
                "kind": "Eviction",
                "metadata": {"name": name, "namespace": _NAMESPACE},
            }
            path = f"/api/v1/namespaces/{_NAMESPACE}/pods/{name}/eviction"
            self._cluster.kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(eviction))
            self._settle()

    def _settle(self) -> None:
        """Wait until all pods are ready and none is on its way out."""
        self._kubectl("rollout", "status", f"deployment/{_NAME}", f"--timeout={_DEADLINE_S}s")
        deadline = time.monotonic() + _DEADLINE_S
        wanted = self._kubectl(
            "get", f"deployment/{_NAME}", "--output", "jsonpath={.spec.replicas}"
        )
        while len(self._pods()) != int(wanted):
            if time.monotonic() > deadline:
                raise ClusterError(f"not {wanted} pods in {_DEADLINE_S} s: {self._pods()}")
            time.sleep(0.5)

    def _pods(self) -> list[str]:
        selector = "--selector=app.kubernetes.io/component=server"
        return self._kubectl("get", "pods", selector, "--output", "name").split()

    def _kubectl(self, *arguments: str) -> str:
        return self._cluster.kubectl("--namespace", _NAMESPACE, *arguments)


class Load:
    """`soak.steady` in a pod, and what it told last.

    Parameters
    ----------
    process : subprocess.Popen
        Its standard input is open as long as it is to run; its output is read here.
    """

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.told: dict[str, Any] = {}
        self._process = process
        self._first = threading.Event()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self._first.wait(_DEADLINE_S)

    def stop(self) -> None:
        """End it, and read what it tells at last."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._reader.join(_DEADLINE_S)
        self._process.kill()
        self._process.wait()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self.told = json.loads(line)
                self._first.set()
        self._first.set()


@contextmanager
def _release(cluster: Cluster, image: str) -> Iterator[Release]:
    cluster.kubectl("apply", "--filename", "-", stdin=json.dumps(_surroundings(image)))
    try:
        release = Release(cluster, image)
        release.update(0)
        yield release
    finally:
        cluster.kubectl("delete", "namespace", _NAMESPACE, f"--timeout={_DEADLINE_S}s")


@contextmanager
def _load(cluster: Cluster) -> Iterator[Load]:
    inside = ("--namespace", _NAMESPACE)
    cluster.kubectl(*inside, "wait", "pod/load", "--for=condition=Ready", "--timeout=60s")
    command = ("kubectl", "--context", cluster.context, *inside, "exec", "--stdin", "load", "--")
    process = subprocess.Popen(
        [*command, "python", "-m", "soak.steady", f"{_NAME}.{_NAMESPACE}.svc", "80"],
        env=cluster.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    load = Load(process)
    try:
        if not load.told:
            raise ClusterError("the load did not begin: see the lines above")
        yield load
    finally:
        load.stop()


def _surroundings(image: str) -> dict[str, Any]:
    """Return the namespace, and a pod in it with the modules of the load."""
    scripts = {path.replace("/", "."): (ROOT / path).read_text() for path in _SCRIPTS}
    mounted = [{"key": path.replace("/", "."), "path": path} for path in _SCRIPTS]
    named = {"name": "load", "namespace": _NAMESPACE}
    container = {
        "name": "load",
        "image": image,
        "command": ["python", "-c", "import time; time.sleep(1e6)"],
        "workingDir": "/load",
        "volumeMounts": [{"name": "scripts", "mountPath": "/load"}],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "runAsNonRoot": True,
            "runAsUser": 1000,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    spec = {
        "containers": [container],
        "volumes": [{"name": "scripts", "configMap": {"name": "load", "items": mounted}}],
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 0,
    }
    namespace = {"name": _NAMESPACE, "labels": _RESTRICTED}
    return {
        "apiVersion": "v1",
        "kind": "List",
        "items": [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": namespace},
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": named, "data": scripts},
            {"apiVersion": "v1", "kind": "Pod", "metadata": named, "spec": spec},
        ],
    }
