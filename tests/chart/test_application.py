"""The web application beside the server: its objects, its pod, and its way to the server."""

import pytest
import yaml

from application import settings
from tests.chart.helm_chart import CHART, HelmChart, Object
from tests.chart.test_rendering import APPLICATION, BEHAVIOR, DNS, SELECTOR, TO_SERVER

pytestmark = pytest.mark.needs("helm")

NAME = "model-server-application"
INGRESS = {"enabled": True, "hosts": ["homes.example.com"]}
MODES = pytest.mark.parametrize("mode", ["kserve", "deployment"])


def read(chart: HelmChart, values: Object, monkeypatch: pytest.MonkeyPatch) -> settings.Settings:
    """Read the settings as the pod's process does."""
    [container] = chart.pod(values, of="application")["containers"]
    for entry in container["env"]:
        monkeypatch.setenv(entry["name"], entry["value"])
    return settings.parse([])


@pytest.mark.parametrize(
    ("values", "kinds"),
    [
        ({}, {"Deployment", "Service", "HorizontalPodAutoscaler", "NetworkPolicy"}),
        ({"autoscaling": {"type": "none"}}, {"Deployment", "Service", "NetworkPolicy"}),
        (
            {"autoscaling": {"minReplicas": 2}, "ingress": INGRESS},
            {
                *("Deployment", "Service", "HorizontalPodAutoscaler", "NetworkPolicy"),
                *("PodDisruptionBudget", "Ingress"),
            },
        ),
        ({"enabled": False}, set()),
    ],
    ids=["default", "unscaled", "most", "disabled"],
)
@MODES
def test_the_objects(chart: HelmChart, values: Object, kinds: set[str], mode: str) -> None:
    objects = chart.objects({"mode": mode, "application": values}, of="application")

    assert objects.keys() == kinds
    assert {each["metadata"]["name"] for each in objects.values()} <= {NAME}


@pytest.mark.parametrize(
    ("values", "endpoint"),
    [
        ({}, "http://model-server-predictor:80"),
        ({"mode": "deployment", "service": {"port": 9000}}, "http://model-server:9000"),
        ({"settings": {"sslCertfile": "/tls/crt"}}, "https://model-server-predictor:80"),
    ],
    ids=["kserve", "deployment", "tls"],
)
def test_it_asks_the_service_of_the_server(chart: HelmChart, values: Object, endpoint: str) -> None:
    [container] = chart.pod(values, of="application")["containers"]

    environment = {entry["name"]: entry["value"] for entry in container["env"]}
    assert environment["APPLICATION_ENDPOINT"] == endpoint


def test_it_takes_the_settings(chart: HelmChart, monkeypatch: pytest.MonkeyPatch) -> None:
    own = {"front": "boston", "rateLimit": 6000, "reportUrl": "https://a.example.com/reports"}

    chosen = read(
        chart,
        {"application": {"settings": own}, "shutdown": {"delaySeconds": 2, "drainSeconds": 7}},
        monkeypatch,
    )

    assert (chosen.front, chosen.rate_limit) == ("boston", 6000)
    assert (chosen.drain_delay_s, chosen.drain_timeout_s) == (2, 7)
    assert str(chosen.report_url) == "https://a.example.com/reports"
    assert chosen.trusted_proxies == ""
    assert chosen.port == 8000


def test_it_has_the_token_of_the_server(chart: HelmChart, monkeypatch: pytest.MonkeyPatch) -> None:
    volumes = [{"name": "token", "secret": {"secretName": "token"}}]
    mounts = [{"name": "token", "mountPath": "/token", "readOnly": True}]
    parts = {"volumes": volumes, "volumeMounts": mounts}
    own = {"settings": {"tokenFile": "/token/token"}} | parts
    values = {"settings": {"tokenFile": "/token/token"}, "application": own} | parts

    pod = chart.pod(values, of="application")

    assert str(read(chart, values, monkeypatch).token_file) == "/token/token"
    assert volumes[0] in pod["volumes"]
    assert mounts[0] in pod["containers"][0]["volumeMounts"]


@MODES
def test_nothing_is_lost_in_a_rollout(chart: HelmChart, mode: str) -> None:
    deployment = chart.objects({"mode": mode}, of="application")["Deployment"]["spec"]

    pod = deployment["template"]["spec"]
    [container] = pod["containers"]
    assert deployment["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert container["lifecycle"] == {"preStop": {"sleep": {"seconds": 5}}}
    assert pod["terminationGracePeriodSeconds"] == 30
    assert container["ports"] == [{"name": "http", "containerPort": 8000, "protocol": "TCP"}]
    assert {
        probe: container[f"{probe}Probe"]["httpGet"]
        for probe in ("startup", "readiness", "liveness")
    } == {
        "startup": {"path": "/healthz/live", "port": "http"},
        "readiness": {"path": "/healthz/ready", "port": "http"},
        "liveness": {"path": "/healthz/live", "port": "http"},
    }


def test_its_pods_need_no_account_and_write_only_to_tmp(chart: HelmChart) -> None:
    pod = chart.pod(of="application")

    assert "serviceAccountName" not in pod
    assert pod["volumes"] == [{"name": "tmp", "emptyDir": {"sizeLimit": "16Mi"}}]
    assert pod["containers"][0]["volumeMounts"] == [{"name": "tmp", "mountPath": "/tmp"}]


@pytest.mark.parametrize(
    ("image", "reference"),
    [
        ({}, "model-server-application:0.1.0"),
        ({"repository": "example.com/pages", "tag": "v2"}, "example.com/pages:v2"),
        ({"digest": f"sha256:{'a' * 64}"}, f"model-server-application@sha256:{'a' * 64}"),
    ],
)
def test_the_image(chart: HelmChart, image: Object, reference: str) -> None:
    pod = chart.pod({"application": {"image": image}}, of="application")

    assert pod["containers"][0]["image"] == reference


@MODES
def test_every_selector_finds_its_pods_and_no_others(chart: HelmChart, mode: str) -> None:
    own = {"podLabels": {"team": "pages"}, "autoscaling": {"minReplicas": 2}}
    values = {"mode": mode, "application": own, "podLabels": {"team": "models"}}
    objects = chart.objects(values, of="application")

    template = objects["Deployment"]["spec"]["template"]
    [spread] = template["spec"]["topologySpreadConstraints"]
    assert (APPLICATION | {"team": "pages"}).items() <= template["metadata"]["labels"].items()
    assert objects["Deployment"]["spec"]["selector"] == {"matchLabels": APPLICATION}
    assert objects["Service"]["spec"]["selector"] == APPLICATION
    assert objects["NetworkPolicy"]["spec"]["podSelector"] == {"matchLabels": APPLICATION}
    assert objects["PodDisruptionBudget"]["spec"]["selector"] == {"matchLabels": APPLICATION}
    assert spread["labelSelector"] == {"matchLabels": APPLICATION}
    assert not SELECTOR.items() <= template["metadata"]["labels"].items()


def test_the_autoscaler(chart: HelmChart) -> None:
    scaler = chart.objects(of="application")["HorizontalPodAutoscaler"]["spec"]

    [metric] = scaler["metrics"]
    assert scaler["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": NAME}
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (1, 3)
    assert metric["resource"]["target"] == {"type": "Utilization", "averageUtilization": 70}
    assert scaler["behavior"] == BEHAVIOR


@pytest.mark.parametrize(
    ("values", "replicas"),
    [({"replicas": 2}, None), ({"replicas": 2, "autoscaling": {"type": "none"}}, 2)],
)
def test_who_sets_the_number_of_pods(
    chart: HelmChart, values: Object, replicas: int | None
) -> None:
    deployment = chart.objects({"application": values}, of="application")["Deployment"]

    assert deployment["spec"].get("replicas") == replicas


@pytest.mark.parametrize(
    ("values", "made"),
    [
        ({}, False),
        ({"replicas": 2, "autoscaling": {"type": "none"}}, True),
        ({"autoscaling": {"minReplicas": 2}}, True),
    ],
)
def test_a_disruption_budget_needs_two_pods(
    chart: HelmChart, values: Object, *, made: bool
) -> None:
    objects = chart.objects({"application": values}, of="application")

    assert ("PodDisruptionBudget" in objects) == made


def test_the_ingress_leads_to_its_service(chart: HelmChart) -> None:
    values = {"application": {"ingress": INGRESS, "service": {"port": 9001}}}
    objects = chart.objects(values, of="application")

    [rule] = objects["Ingress"]["spec"]["rules"]
    assert rule["host"] == "homes.example.com"
    assert rule["http"]["paths"][0]["backend"] == {
        "service": {"name": NAME, "port": {"number": 9001}}
    }
    assert objects["Service"]["spec"]["ports"] == [
        {"name": "http", "port": 9001, "targetPort": "http"}
    ]


@pytest.mark.parametrize(
    ("of_server", "own", "peers"),
    [([], [], None), (["web"], [], ["web"]), (["web"], ["ingress"], ["ingress"])],
    ids=["any", "as the server", "own"],
)
def test_the_network_policy(
    chart: HelmChart, of_server: list[str], own: list[str], peers: list[str] | None
) -> None:
    def pods(teams: list[str]) -> list[Object]:
        return [{"podSelector": {"matchLabels": {"team": team}}} for team in teams]

    policy = chart.objects(
        {
            "networkPolicy": {"from": pods(of_server)},
            "application": {"networkPolicy": {"from": pods(own)}},
        },
        of="application",
    )["NetworkPolicy"]["spec"]

    [way_in] = policy["ingress"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert way_in["ports"] == [{"port": 8000, "protocol": "TCP"}]
    assert way_in.get("from") == (None if peers is None else pods(peers))
    assert policy["egress"] == [DNS, TO_SERVER]


def test_there_may_be_no_network_policies(chart: HelmChart) -> None:
    values = {"networkPolicy": {"enabled": False}}

    for of in ("server", "application", "test"):
        assert "NetworkPolicy" not in chart.objects(values, of=of)


def test_everything_arrives_in_the_pod(chart: HelmChart) -> None:
    values = yaml.safe_load((CHART / "ci/everything-values.yaml").read_text())
    own = values["application"]

    objects, pod = chart.objects(values, of="application"), chart.pod(values, of="application")

    for field in ("imagePullSecrets", "nodeSelector", "affinity", "tolerations"):
        assert pod[field] == values[field]
    assert pod["priorityClassName"] == "serving"
    assert "resourceClaims" not in pod
    assert own["volumes"][0] in pod["volumes"]
    assert own["volumeMounts"][0] in pod["containers"][0]["volumeMounts"]
    for kind in ("Service", "Ingress"):
        assert objects[kind]["metadata"]["annotations"] == {"example.com/team": "pages"}
    assert objects["Service"]["spec"]["ports"][0]["nodePort"] == 30081
    assert objects["Ingress"]["spec"]["tls"] == own["ingress"]["tls"]
    template = objects["Deployment"]["spec"]["template"]["metadata"]
    assert template["annotations"] == {"example.com/team": "pages"}
