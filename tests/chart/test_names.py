"""Names stay within what Kubernetes and KServe allow, and apart from each other."""

import re

import pytest

from tests.chart.helm_chart import HelmChart, Object

pytestmark = pytest.mark.needs("helm")

LABEL = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")  # RFC 1035
LONG = "a" * 53
ALL = {
    "autoscaling": {"minReplicas": 2},
    "ingress": {"enabled": True, "hosts": ["models.example.com"]},
    "httpRoute": {"enabled": True, "parentRefs": [{"name": "gateway"}]},
    "serviceMonitor": {"enabled": True},
    "application": {
        "autoscaling": {"minReplicas": 2},
        "ingress": {"enabled": True, "hosts": ["homes.example.com"]},
    },
}


@pytest.mark.parametrize(
    ("release", "name"),
    [
        ("model-server", "model-server"),
        ("blue", "blue-model-server"),
        ("my-model-server-2", "my-model-server-2"),
        ("v1.2", "v1-2-model-server"),
    ],
)
def test_the_name(chart: HelmChart, release: str, name: str) -> None:
    assert chart.objects(release=release)["InferenceService"]["metadata"]["name"] == name


@pytest.mark.parametrize("mode", ["kserve", "deployment"])
@pytest.mark.parametrize("values", [{}, {"fullnameOverride": "b" * 60}], ids=["long", "override"])
@pytest.mark.parametrize("namespace", ["ns", "default", "n" * 40])
def test_a_long_name_leaves_room(
    chart: HelmChart, values: Object, namespace: str, mode: str
) -> None:
    values = ALL | values | {"mode": mode}
    objects = chart.objects(values, release=LONG, namespace=namespace)
    beside = chart.objects(values, release=LONG, namespace=namespace, of="application")

    assert len(beside) == 6
    for rendered in [*objects.values(), *beside.values()]:
        assert LABEL.fullmatch(rendered["metadata"]["name"])
    if mode == "kserve":
        predictor = objects["InferenceService"]["metadata"]["name"] + "-predictor"
        assert len(f"isvc.{predictor}") <= 63  # the label by which KServe selects the pods
        assert len(f"{predictor}-{namespace}") <= 63  # the host that KServe makes


def test_a_release_named_like_a_number(chart: HelmChart) -> None:
    service = chart.objects({"fullnameOverride": "models"}, release="123")["InferenceService"]

    assert service["metadata"]["labels"]["app.kubernetes.io/instance"] == "123"


def test_long_names_stay_apart(chart: HelmChart) -> None:
    blue, green = (
        chart.objects(release=LONG[:-6] + colour)["InferenceService"]["metadata"]["name"]
        for colour in ("-blue", "-green")
    )

    assert blue != green
