"""The objects that the values make, and how they refer to each other."""

import pytest
import yaml

from tests.chart.helm_chart import CHART, HelmChart, Object

pytestmark = pytest.mark.needs("helm")

DEPLOYMENT = {"mode": "deployment"}
MODES = pytest.mark.parametrize(
    ("mode", "workload"), [("kserve", "model-server-predictor"), ("deployment", "model-server")]
)
SELECTOR = {
    "app.kubernetes.io/name": "model-server",
    "app.kubernetes.io/instance": "model-server",
    "app.kubernetes.io/component": "server",
}
APPLICATION = SELECTOR | {"app.kubernetes.io/component": "application"}
TEST = SELECTOR | {"app.kubernetes.io/component": "test"}
DNS = {
    "to": [
        {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
            "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
        }
    ],
    "ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}],
}
TO_SERVER = {
    "to": [{"podSelector": {"matchLabels": SELECTOR}}],
    "ports": [{"port": 8080, "protocol": "TCP"}],
}
OUTSIDE = {
    "ingress": {"enabled": True, "hosts": ["models.example.com"]},
    "httpRoute": {"enabled": True, "parentRefs": [{"name": "gateway"}]},
    "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
}


COMMON = {"NetworkPolicy", "ServiceAccount"}
LEAST = {
    "autoscaling": {"type": "none"},
    "networkPolicy": {"enabled": False},
    "serviceAccount": {"create": False},
}


@pytest.mark.parametrize(
    ("values", "kinds"),
    [
        ({}, COMMON | {"InferenceService", "HorizontalPodAutoscaler"}),
        (DEPLOYMENT, COMMON | {"Deployment", "Service", "HorizontalPodAutoscaler"}),
        ({"autoscaling": {"type": "keda"}}, COMMON | {"InferenceService", "ScaledObject"}),
        (OUTSIDE | LEAST, {"Ingress", "HTTPRoute", "ServiceMonitor", "InferenceService"}),
    ],
    ids=["kserve", "deployment", "keda", "outside"],
)
def test_the_objects(chart: HelmChart, values: Object, kinds: set[str]) -> None:
    assert chart.objects(values).keys() == kinds


@pytest.mark.parametrize(
    ("scaler", "of_kserve", "replicas"),
    [("hpa", "external", None), ("keda", "external", None), ("none", "none", 3)],
)
def test_who_sets_the_number_of_pods(
    chart: HelmChart, scaler: str, of_kserve: str, replicas: int | None
) -> None:
    values = {"autoscaling": {"type": scaler}, "replicas": 3}

    service = chart.objects(values)["InferenceService"]
    deployment = chart.objects(values | DEPLOYMENT)["Deployment"]

    assert service["metadata"]["annotations"] == {
        "serving.kserve.io/deploymentMode": "Standard",
        "serving.kserve.io/autoscalerClass": of_kserve,
    }
    assert service["spec"]["predictor"].get("minReplicas") == replicas
    assert service["spec"]["predictor"].get("maxReplicas") == replicas
    assert deployment["spec"].get("replicas") == replicas


BEHAVIOR = {
    "scaleUp": {
        "stabilizationWindowSeconds": 0,
        "selectPolicy": "Max",
        "policies": [
            {"type": "Percent", "value": 100, "periodSeconds": 15},
            {"type": "Pods", "value": 2, "periodSeconds": 15},
        ],
    },
    "scaleDown": {
        "stabilizationWindowSeconds": 300,
        "policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}],
    },
}


@MODES
def test_the_autoscaler(chart: HelmChart, mode: str, workload: str) -> None:
    metric = {"type": "Pods", "pods": {"metric": {"name": "in_flight"}, "target": {}}}

    scaler = chart.objects({"mode": mode, "autoscaling": {"metrics": [metric]}})[
        "HorizontalPodAutoscaler"
    ]

    assert scaler["metadata"]["name"] == "model-server"
    assert scaler["spec"] == {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": workload},
        "minReplicas": 1,
        "maxReplicas": 5,
        "metrics": [
            {
                "type": "Resource",
                "resource": {
                    "name": "cpu",
                    "target": {"type": "Utilization", "averageUtilization": 70},
                },
            },
            metric,
        ],
        "behavior": BEHAVIOR,
    }


@MODES
def test_the_scaled_object(chart: HelmChart, mode: str, workload: str) -> None:
    trigger = {"type": "prometheus", "metadata": {"query": "up", "threshold": "1"}}
    scaling = {"type": "keda", "minReplicas": 0, "keda": {"triggers": [trigger]}}

    scaled = chart.objects({"mode": mode, "autoscaling": scaling})["ScaledObject"]

    assert scaled["spec"] == {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": workload},
        "minReplicaCount": 0,
        "maxReplicaCount": 5,
        "pollingInterval": 15,
        "cooldownPeriod": 300,
        "advanced": {"horizontalPodAutoscalerConfig": {"behavior": BEHAVIOR}},
        "triggers": [
            {"type": "cpu", "metricType": "Utilization", "metadata": {"value": "70"}},
            trigger,
        ],
    }


@MODES
def test_all_ways_in_lead_to_the_service(chart: HelmChart, mode: str, workload: str) -> None:
    objects = chart.objects({"mode": mode} | OUTSIDE)

    [rule] = objects["Ingress"]["spec"]["rules"]
    [route] = objects["HTTPRoute"]["spec"]["rules"]
    assert rule["host"] == "models.example.com"
    assert rule["http"]["paths"][0]["backend"] == {
        "service": {"name": workload, "port": {"number": 80}}
    }
    assert route == {"backendRefs": [{"name": workload, "port": 80}]}
    assert objects["Ingress"]["metadata"]["name"] == "model-server-server"
    assert objects["HTTPRoute"]["metadata"]["name"] == "model-server-server"
    [test] = chart.pod({"mode": mode}, of="test")["containers"]
    assert test["args"][1:] == [f"http://{workload}:80", "/models"]
    if mode == "deployment":
        assert objects["Service"]["metadata"]["name"] == workload


def test_another_port_of_the_service_is_followed(chart: HelmChart) -> None:
    values = DEPLOYMENT | OUTSIDE | {"service": {"port": 9000}}
    objects, test = chart.objects(values), chart.pod(values, of="test")

    [route] = objects["HTTPRoute"]["spec"]["rules"]
    assert [port["port"] for port in objects["Service"]["spec"]["ports"]] == [9000, 8081]
    assert route["backendRefs"][0]["port"] == 9000
    assert test["containers"][0]["args"][1] == "http://model-server:9000"


def test_the_service_monitor(chart: HelmChart) -> None:
    monitor = chart.objects(OUTSIDE)["ServiceMonitor"]

    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    assert monitor["spec"] == {
        "selector": {"matchLabels": SELECTOR},
        "endpoints": [{"targetPort": "health", "path": "/metrics", "interval": "15s"}],
    }


@pytest.mark.parametrize("mode", ["kserve", "deployment"])
def test_every_selector_finds_the_pods_and_not_the_test(chart: HelmChart, mode: str) -> None:
    values = {"mode": mode, "autoscaling": {"minReplicas": 2}, "podLabels": {"team": "models"}}
    objects = chart.objects(values)

    if mode == "kserve":
        labels = objects["InferenceService"]["spec"]["predictor"]["labels"]
    else:
        labels = objects["Deployment"]["spec"]["template"]["metadata"]["labels"]
        assert objects["Deployment"]["spec"]["selector"] == {"matchLabels": SELECTOR}
        assert objects["Service"]["spec"]["selector"] == SELECTOR
    [spread] = chart.pod(values)["topologySpreadConstraints"]
    assert SELECTOR.items() <= labels.items()
    assert labels["team"] == "models"
    assert spread["labelSelector"] == {"matchLabels": SELECTOR}
    assert objects["NetworkPolicy"]["spec"]["podSelector"] == {"matchLabels": SELECTOR}
    assert objects["PodDisruptionBudget"]["spec"]["selector"] == {"matchLabels": SELECTOR}
    test = chart.objects(values, of="test")
    assert test["Pod"]["metadata"]["labels"].items() >= TEST.items()
    assert test["NetworkPolicy"]["spec"]["podSelector"] == {"matchLabels": TEST}


def test_labels_and_annotations_of_the_inference_service(chart: HelmChart) -> None:
    visibility = {"networking.kserve.io/visibility": "cluster-local"}
    taken = {"serving.kserve.io/deploymentMode": "Knative"}
    values = {
        "inferenceService": {"labels": visibility, "annotations": {"a": "service"} | taken},
        "podAnnotations": {"a": "pod"},
    }

    service = chart.objects(values)["InferenceService"]

    assert service["metadata"]["labels"].items() >= (SELECTOR | visibility).items()
    assert service["metadata"]["annotations"] == {
        "serving.kserve.io/deploymentMode": "Standard",
        "serving.kserve.io/autoscalerClass": "external",
        "a": "service",
    }
    assert service["spec"]["predictor"]["annotations"] == {"a": "pod"}


def test_a_pod_label_cannot_break_the_selector(chart: HelmChart) -> None:
    values = {"podLabels": {"app.kubernetes.io/component": "other"}}

    labels = chart.objects(values)["InferenceService"]["spec"]["predictor"]["labels"]

    assert labels["app.kubernetes.io/component"] == "server"


@pytest.mark.parametrize(
    ("values", "made"),
    [
        ({}, False),
        ({"replicas": 3}, False),
        ({"autoscaling": {"minReplicas": 2}}, True),
        ({"autoscaling": {"type": "none"}}, False),
        ({"autoscaling": {"type": "none"}, "replicas": 2}, True),
        ({"autoscaling": {"minReplicas": 2}, "podDisruptionBudget": {"enabled": False}}, False),
    ],
)
def test_a_disruption_budget_needs_two_pods(
    chart: HelmChart, values: Object, *, made: bool
) -> None:
    assert ("PodDisruptionBudget" in chart.objects(values)) == made


HTTP = [{"port": 8080, "protocol": "TCP"}]
GRPC = [{"port": 8081, "protocol": "TCP"}]
HEALTH = [{"port": 8082, "protocol": "TCP"}]


def pods(labels: dict[str, str]) -> Object:
    return {"podSelector": {"matchLabels": labels}}


def policy(chart: HelmChart, values: Object | None = None, *, of: str = "server") -> Object:
    spec: Object = chart.objects(values, of=of)["NetworkPolicy"]["spec"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    return spec


def test_the_server_is_open_to_http_and_goes_out_to_dns(chart: HelmChart) -> None:
    spec = policy(chart)

    assert spec["ingress"] == [{"ports": HTTP}]
    assert spec["egress"] == [DNS]


@pytest.mark.parametrize("application", [True, False])
def test_peers_come_in_by_http_beside_those_of_the_release(
    chart: HelmChart, *, application: bool
) -> None:
    web, prometheus = pods({"team": "web"}), pods({"app": "prometheus"})
    values = {
        "networkPolicy": {"from": [web], "metrics": [prometheus]},
        "application": {"enabled": application},
    }

    own = [pods(APPLICATION)] * application + [pods(TEST)]
    assert policy(chart, values)["ingress"] == [
        {"ports": HTTP, "from": [web, *own]},
        {"ports": HEALTH, "from": [prometheus]},
    ]


def test_grpc_is_open_to_its_peers_alone(chart: HelmChart) -> None:
    caller = pods({"team": "grpc"})
    values: Object = {"networkPolicy": {"grpc": [caller]}}

    assert policy(chart, values)["ingress"] == [
        {"ports": HTTP},
        {"ports": GRPC, "from": [caller]},
    ]
    assert policy(chart, values | {"grpc": False})["ingress"] == [{"ports": HTTP}]


def test_other_ways_out(chart: HelmChart) -> None:
    dns = {"to": [{"ipBlock": {"cidr": "169.254.20.10/32"}}], "ports": [{"port": 53}]}
    more = {"ports": [{"port": 443, "protocol": "TCP"}]}
    values = {"networkPolicy": {"dns": [dns], "egress": [more]}}

    assert policy(chart, values)["egress"] == [dns, more]
    assert policy(chart, values, of="application")["egress"] == [dns, TO_SERVER]
    assert policy(chart, values, of="test")["egress"] == [dns, TO_SERVER]


def test_the_test_reaches_the_server_and_nobody_the_test(chart: HelmChart) -> None:
    objects = chart.objects(of="test")

    spec = policy(chart, of="test")
    hook = objects["NetworkPolicy"]["metadata"]["annotations"]
    assert "ingress" not in spec
    assert spec["egress"] == [DNS, TO_SERVER]
    assert hook["helm.sh/hook"] == "test"
    assert int(hook["helm.sh/hook-weight"]) < 0  # before its pod


@pytest.mark.parametrize("scaler", ["hpa", "none"])
@pytest.mark.parametrize("mode", ["kserve", "deployment"])
def test_production_has_two_pods_of_each(chart: HelmChart, mode: str, scaler: str) -> None:
    values = yaml.safe_load((CHART / "values-production.yaml").read_text())
    values["mode"] = mode
    for scaled in (values, values["application"]):
        scaled["autoscaling"]["type"] = scaler

    for of in ("server", "application"):
        objects = chart.objects(values, of=of)
        assert "PodDisruptionBudget" in objects
        if scaler == "hpa":
            assert objects["HorizontalPodAutoscaler"]["spec"]["minReplicas"] == 2
        elif "InferenceService" in objects:
            assert objects["InferenceService"]["spec"]["predictor"]["minReplicas"] == 2
        else:
            assert objects["Deployment"]["spec"]["replicas"] == 2
