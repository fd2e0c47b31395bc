"""Ways into a cluster, as its users have them, and a steady load on what is reached."""

import re
import subprocess
import threading
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Self

import httpx
from kubernetes import client

from harness.processes import until
from manifests.cluster import Cluster

NODE_PORT = 30080
PAGE = {"accept": "text/html"}
"""What a browser asks the application for."""
DEADLINE_S = 180.0


def wait(what: str, reached: Callable[[], bool], deadline_s: float = DEADLINE_S) -> None:
    """Look twice a second until something is reached, at most until the deadline."""
    until(what, reached, deadline_s, every_s=0.5)


class PortForward:
    """``kubectl port-forward`` to a Service's HTTP port, and a client for it."""

    def __init__(self, cluster: Cluster, namespace: str, service: str) -> None:
        self._command = [
            *("kubectl", "--context", cluster.context, "--namespace", namespace),
            *("port-forward", f"service/{service}", ":80"),
        ]
        self._environment = cluster.environment

    def __enter__(self) -> httpx.Client:
        self._process = subprocess.Popen(
            self._command, env=self._environment, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        address = re.search(r"127\.0\.0\.1:\d+", line)
        assert address, f"port-forward ended: {line}"
        self._client = httpx.Client(base_url=f"http://{address[0]}", timeout=30)
        return self._client

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.close()
        self._process.terminate()
        self._process.communicate()


class Load:
    """Steady requests from a few clients with kept-alive connections, each answer looked at.

    ``predictions`` counts the answers to the one row that is sent, ``failures`` what went wrong.
    """

    def __init__(self, url: str, clients: int = 4) -> None:
        self._url = url
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(clients)]
        self.predictions: Counter[float] = Counter()
        self.failures: list[str] = []

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        with httpx.Client(timeout=30) as sender:
            while not self._stop.is_set():
                try:
                    answer = sender.post(self._url, json={"instances": [[6.5]]})
                    answer.raise_for_status()
                    self.predictions[answer.json()["predictions"][0]] += 1
                except (httpx.HTTPError, KeyError, ValueError) as error:
                    self.failures.append(repr(error))


def expose(core: client.CoreV1Api, namespace: str, instance: str) -> None:
    """Make a NodePort Service for the pods of a release."""
    core.create_namespaced_service(
        namespace,
        client.V1Service(
            metadata=client.V1ObjectMeta(name="node-port"),
            spec=client.V1ServiceSpec(
                type="NodePort",
                selector={
                    "app.kubernetes.io/instance": instance,
                    "app.kubernetes.io/component": "server",
                },
                ports=[client.V1ServicePort(port=80, target_port=8080, node_port=NODE_PORT)],
            ),
        ),
    )
