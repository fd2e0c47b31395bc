"""Pods that come and go under load from inside the cluster, in short."""

import pytest

from manifests.cluster import Cluster
from soak import rollouts

pytestmark = pytest.mark.needs("docker", "kind", "kubectl", "helm")


def test_no_request_fails(cluster: Cluster, image: str) -> None:
    outcome = rollouts.disturb(cluster, image, requests=1000, rounds=1)
    assert outcome.held, outcome.seen
