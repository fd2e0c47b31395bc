"""Values that make no sense are refused with a sentence that names them."""

import pytest

from tests.chart.helm_chart import HelmChart, Object

pytestmark = pytest.mark.needs("helm")

PVC = {"claimName": "trained"}
TRIGGER = {"type": "cron", "metadata": {}}
INGRESS = {"enabled": True, "hosts": ["a.example.com"]}


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (
            {"models": {"pvc": PVC, "volume": {"emptyDir": {}}}},
            "models.pvc.claimName and models.volume are both set",
        ),
        ({"models": {"pvc": {"subPath": "a"}}}, "models.pvc.subPath needs models.pvc.claimName"),
        (
            {"autoscaling": {"minReplicas": 6}},
            "autoscaling.minReplicas=6 is more than autoscaling.maxReplicas=5",
        ),
        (
            {"autoscaling": {"minReplicas": 0}},
            "autoscaling.minReplicas=0 needs autoscaling.type=keda",
        ),
        (
            {"autoscaling": {"type": "keda", "minReplicas": 0}},
            "autoscaling.minReplicas=0 needs a trigger in autoscaling.keda.triggers",
        ),
        (
            {"autoscaling": {"type": "keda", "metrics": [{"type": "Pods"}]}},
            "autoscaling.metrics needs autoscaling.type=hpa",
        ),
        (
            {"autoscaling": {"keda": {"triggers": [TRIGGER]}}},
            "autoscaling.keda.triggers needs autoscaling.type=keda",
        ),
        ({"autoscaling": {"cpuUtilization": 0}}, "autoscaling has no metric"),
        (
            {"resources": {"requests": {"cpu": None}}},
            "autoscaling.cpuUtilization is a percentage of resources.requests.cpu",
        ),
        (
            {"shutdown": {"drainSeconds": 24}},
            "shutdown.gracePeriodSeconds must be more than shutdown.waitSeconds, delaySeconds",
        ),
        (
            {"rollout": {"maxSurge": "0%"}},
            "rollout.maxSurge and rollout.maxUnavailable are both 0",
        ),
        (
            {"podDisruptionBudget": {"maxUnavailable": 0}},
            "podDisruptionBudget.maxUnavailable=0 would stop every drain of a node",
        ),
        ({"ingress": {"enabled": True}}, "ingress.enabled needs ingress.hosts"),
        ({"httpRoute": {"enabled": True}}, "httpRoute.enabled needs httpRoute.parentRefs"),
        ({"service": {"type": "NodePort"}}, "are for mode=deployment"),
        ({"service": {"port": 8080}}, "are for mode=deployment"),
        ({"service": {"annotations": {"a": "b"}}}, "are for mode=deployment"),
        (
            {"mode": "deployment", "service": {"nodePort": 30080}},
            "service.nodePort needs service.type=NodePort or LoadBalancer",
        ),
        ({"settings": {"httpPort": 80}}, "settings.httpPort is set by the chart"),
        ({"settings": {"drainTimeoutS": 1}}, "settings.drainTimeoutS is set by the chart"),
        ({"settings": {"expectDigest": "a"}}, "settings.expectDigest is set by the chart"),
        ({"volumes": [{"name": "models"}]}, 'volumes: the name "models" is the chart\'s own'),
        ({"fullnameOverride": "1st"}, 'the name "1st" must begin with a letter'),
        (
            {"application": {"settings": {"endpoint": "http://other"}}},
            "application.settings.endpoint is set by the chart: see mode, service and shutdown",
        ),
        (
            {"application": {"settings": {"drainTimeoutS": 1}}},
            "application.settings.drainTimeoutS is set by the chart",
        ),
        (
            {"application": {"autoscaling": {"minReplicas": 4}}},
            "application.autoscaling.minReplicas=4 is more than application.autoscaling.max",
        ),
        (
            {"application": {"autoscaling": {"cpuUtilization": 0}}},
            "application.autoscaling has no metric: set application.autoscaling.cpuUtilization",
        ),
        (
            {"application": {"resources": {"requests": {"cpu": None}}}},
            "application.autoscaling.cpuUtilization is a percentage of application.resources",
        ),
        (
            {"application": {"service": {"nodePort": 30081}}},
            "application.service.nodePort needs application.service.type=NodePort or LoadBalancer",
        ),
        (
            {"application": {"ingress": {"enabled": True}}},
            "application.ingress.enabled needs application.ingress.hosts",
        ),
        (
            {"application": {"enabled": False, "ingress": INGRESS}},
            "application.ingress.enabled needs application.enabled",
        ),
        (
            {"ingress": INGRESS, "application": {"ingress": INGRESS}},
            'the host "a.example.com" is in ingress.hosts and in application.ingress.hosts',
        ),
        (
            {"application": {"volumes": [{"name": "tmp"}]}},
            'application.volumes: the name "tmp" is the chart\'s own',
        ),
        (
            {"settings": {"tokenFile": "/token/token"}},
            "settings.tokenFile asks the application for a token too",
        ),
    ],
)
def test_what_cannot_go_together(chart: HelmChart, values: Object, sentence: str) -> None:
    assert sentence in chart.refusal(values)


@pytest.mark.parametrize(
    ("values", "where"),
    [
        ({"mode": "knative"}, "mode"),
        ({"modes": "kserve"}, "modes"),
        ({"image": {"name": "model-server"}}, "name"),
        ({"image": {"digest": "sha256:abc"}}, "digest"),
        ({"image": {"tag": 1.0}}, "tag"),
        ({"autoscaling": {"type": "vpa"}}, "type"),
        ({"autoscaling": {"minReplicas": -1}}, "minReplicas"),
        ({"shutdown": {"drainSeconds": 0}}, "drainSeconds"),
        ({"models": {"digests": {"rooms": "sha256:12"}}}, "rooms"),
        ({"podAnnotations": {"a": 1}}, "podAnnotations"),
        ({"probes": {"ready": {}}}, "ready"),
        ({"service": {"nodePort": 70000}}, "nodePort"),
        ({"application": {"image": {"digest": "sha256:abc"}}}, "digest"),
        ({"application": {"autoscaling": {"type": "keda"}}}, "type"),
        ({"application": {"autoscaling": {"minReplicas": 0}}}, "minReplicas"),
    ],
)
def test_the_schema_refuses(chart: HelmChart, values: Object, where: str) -> None:
    refusal = chart.refusal(values)

    assert "values don't meet the specifications of the schema" in refusal
    assert where in refusal


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("bodyLimitByte", 1),
        ("body_limit_bytes", 1),
        ("bodyLimitBytes", 0),
        ("bodyLimitBytes", 2**31),
        ("bodyLimitBytes", "1"),
        ("bodyLimitBytes", 1.5),
        ("headerTimeoutS", 0),
        ("skipBroken", "yes"),
        ("skipBroken", 1),
        ("logLevel", "loud"),
        ("logLevel", {}),
        ("invocations", 1),
        ("tokenFile", []),
    ],
)
def test_the_schema_refuses_a_setting_that_the_server_would(
    chart: HelmChart, name: str, value: object
) -> None:
    refusal = chart.refusal({"settings": {name: value}})

    assert "values don't meet the specifications of the schema" in refusal
    assert name in refusal


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("fronts", "rooms"),
        ("front", []),
        ("rateLimit", -1),
        ("timeoutS", 0),
        ("uploadLimitBytes", 0),
        ("logLevel", "loud"),
    ],
)
def test_the_schema_refuses_a_setting_that_the_application_would(
    chart: HelmChart, name: str, value: object
) -> None:
    refusal = chart.refusal({"application": {"settings": {name: value}}})

    assert "values don't meet the specifications of the schema" in refusal
    assert name in refusal


def test_a_subchart_may_be_given_globals(chart: HelmChart) -> None:
    assert chart.objects({"global": {"anything": True}})


def test_a_cluster_without_kserve_is_told_the_cure(chart: HelmChart) -> None:
    refusal = chart.refusal({}, kserve=False)

    assert "this cluster has no KServe: install KServe or set mode=deployment" in refusal


def test_a_namespace_too_long_for_kserve_is_refused(chart: HelmChart) -> None:
    refusal = chart.refusal({}, namespace="n" * 41)

    assert "is longer than 63 characters: use a namespace with a shorter name" in refusal
