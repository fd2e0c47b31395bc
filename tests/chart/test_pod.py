"""The pod that the values make."""

import json
import re

import pytest
import yaml
from pydantic.alias_generators import to_snake

from model_server import settings
from tests.chart.helm_chart import CHART, ROOT, HelmChart, Object

pytestmark = pytest.mark.needs("helm")

DEPLOYMENT = {"mode": "deployment"}


def test_both_modes_run_the_same_pod(chart: HelmChart) -> None:
    kserve, deployment = chart.pod(), chart.pod(DEPLOYMENT)

    for own in ("labels", "deploymentStrategy"):
        kserve.pop(own)
    assert kserve["containers"][0].pop("name") == "kserve-container"
    assert deployment["containers"][0].pop("name") == "server"
    assert kserve == deployment


def test_a_constraint_keeps_its_own_selector(chart: HelmChart) -> None:
    own = {"maxSkew": 2, "topologyKey": "zone", "labelSelector": {"matchLabels": {"a": "b"}}}

    assert chart.pod({"topologySpreadConstraints": [own]})["topologySpreadConstraints"] == [own]


@pytest.mark.parametrize("mode", ["kserve", "deployment"])
def test_nothing_is_lost_in_a_rollout(chart: HelmChart, mode: str) -> None:
    objects, pod = chart.objects({"mode": mode}), chart.pod({"mode": mode})

    strategy = pod.get("deploymentStrategy") or objects["Deployment"]["spec"]["strategy"]
    [server] = pod["containers"]
    assert strategy == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
    }
    assert server["lifecycle"] == {"preStop": {"sleep": {"seconds": 5}}}
    assert pod["terminationGracePeriodSeconds"] == 30
    assert {
        probe: server[f"{probe}Probe"]["httpGet"]["path"]
        for probe in ("startup", "readiness", "liveness")
    } == {
        "startup": "/v2/health/live",
        "readiness": "/v2/health/ready",
        "liveness": "/v2/health/live",
    }


def test_readiness_can_be_that_of_one_model(chart: HelmChart) -> None:
    values = {"probes": {"readiness": {"httpGet": {"path": "/v1/models/rooms"}}}}

    [server] = chart.pod(values)["containers"]

    assert server["readinessProbe"]["httpGet"] == {"path": "/v1/models/rooms", "port": "health"}


@pytest.mark.parametrize("mode", ["kserve", "deployment"])
@pytest.mark.parametrize("of", ["server", "application", "test"])
def test_the_pods_are_restricted(chart: HelmChart, mode: str, of: str) -> None:
    pod = chart.pod({"mode": mode}, of=of)

    [container] = pod["containers"]
    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "runAsGroup": 65532,
        "fsGroup": 65532,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    resources = container["resources"]
    assert resources["requests"].keys() == {"cpu", "memory", "ephemeral-storage"}
    assert resources["limits"].keys() == {"memory", "ephemeral-storage"}


def test_the_user_is_that_of_the_images(chart: HelmChart) -> None:
    stages = (ROOT / "Dockerfile").read_text().split("\nFROM ")
    users = {
        stage.split("\n")[0].rpartition(" ")[2]: re.findall(r"^USER (.*)$", stage, re.MULTILINE)
        for stage in stages
    }

    for image, of in (("server", "server"), ("dev", "server"), ("application", "application")):
        context = chart.pod(of=of)["securityContext"]
        assert users[image] == [f"{context['runAsUser']}:{context['runAsGroup']}"]


def test_a_cluster_may_choose_the_user(chart: HelmChart) -> None:
    chosen = {"runAsUser": None, "runAsGroup": None, "fsGroup": None, "fsGroupChangePolicy": None}

    for of in ("server", "application", "test"):
        context = chart.pod({"podSecurityContext": chosen}, of=of)["securityContext"]
        assert context.keys() == {"runAsNonRoot", "seccompProfile"}


def test_only_tmp_is_writable(chart: HelmChart) -> None:
    pod = chart.pod()

    assert pod["volumes"] == [{"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}}]
    assert pod["containers"][0]["volumeMounts"] == [{"name": "tmp", "mountPath": "/tmp"}]


@pytest.mark.parametrize(
    ("image", "reference"),
    [
        ({}, "model-server:0.1.0"),
        ({"repository": "example.com/models", "tag": "v2"}, "example.com/models:v2"),
        ({"tag": "v2", "digest": f"sha256:{'a' * 64}"}, f"model-server@sha256:{'a' * 64}"),
    ],
)
def test_the_image(chart: HelmChart, image: Object, reference: str) -> None:
    for of in ("server", "test"):
        assert chart.pod({"image": image}, of=of)["containers"][0]["image"] == reference


@pytest.mark.parametrize(
    ("models", "source", "mount"),
    [
        (
            {"pvc": {"claimName": "trained", "subPath": "2026"}},
            {"persistentVolumeClaim": {"claimName": "trained"}},
            {"subPath": "2026"},
        ),
        ({"volume": {"nfs": {"server": "nas"}}}, {"nfs": {"server": "nas"}}, {}),
    ],
    ids=["claim", "volume"],
)
def test_models_from_a_volume(
    chart: HelmChart, models: Object, source: Object, mount: Object
) -> None:
    mounted = {"name": "models", "mountPath": "/models", "readOnly": True} | mount
    for of in ("server", "test"):
        spec = chart.pod({"models": models}, of=of)
        assert {"name": "models"} | source in spec["volumes"]
        assert mounted in spec["containers"][0]["volumeMounts"]


def test_the_server_takes_the_settings(chart: HelmChart) -> None:
    values = {
        "settings": {"logLevel": "debug", "skipBroken": True, "bodyLimitBytes": 16777216},
        "grpc": False,
        "shutdown": {"delaySeconds": 2, "drainSeconds": 7},
    }
    [server] = chart.pod(values)["containers"]

    read = settings.parse([], {entry["name"]: entry["value"] for entry in server["env"]})

    assert (read.log_level, read.skip_broken, read.body_limit_bytes) == ("debug", True, 16777216)
    assert (read.grpc, read.health_port, str(read.models)) == (False, 8082, "/models")
    assert (read.drain_delay_s, read.drain_timeout_s) == (2, 7)
    assert [port["containerPort"] for port in server["ports"]] == [8080, 8082]


def test_every_setting_of_the_schema_is_read(chart: HelmChart) -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    told = schema["properties"]["settings"]["properties"]
    own = {
        "models",
        "httpPort",
        "grpc",
        "grpcPort",
        "healthPort",
        "drainDelayS",
        "drainTimeoutS",
        "expectDigest",
    }
    kinds = {"integer": 77, "boolean": True, "string": "text"}
    given = {
        name: part["enum"][0] if "enum" in part else kinds[part["type"]]
        for name, part in ((name, part.get("anyOf", [part])[0]) for name, part in told.items())
        if name not in own
    }
    assert len(given) == len(settings.Settings.model_fields) - len(own)
    origin = "https://pages.example"
    given |= {"corsOrigins": origin, "mlflow": False}  # which does not go with sagemaker
    given["multiModel"] = False  # nor this with several workers

    [server] = chart.pod({"settings": given, "application": {"enabled": False}})["containers"]
    read = settings.parse([], {entry["name"]: entry["value"] for entry in server["env"]})

    found = read.model_dump(mode="json", exclude={to_snake(name) for name in own})
    expected = {to_snake(name): value for name, value in given.items()}
    assert found == expected | {"cors_origins": [origin]}


def test_the_digests_are_expected(chart: HelmChart) -> None:
    digests = {"rooms": "sha256:" + "0" * 64, "boston": "sha256:" + "1" * 64}
    [server] = chart.pod({"models": {"digests": digests}})["containers"]

    read = settings.parse([], {entry["name"]: entry["value"] for entry in server["env"]})

    assert dict(read.expect_digest) == {"rooms": "0" * 64, "boston": "1" * 64}


def test_everything_arrives_in_the_pod(chart: HelmChart) -> None:
    text = (CHART / "ci/everything-values.yaml").read_text()
    values = yaml.safe_load(text)

    objects, pod = chart.objects(values), chart.pod(values)

    [server] = pod["containers"]
    for field in ("imagePullSecrets", "nodeSelector", "affinity", "tolerations"):
        assert pod[field] == values[field]
    assert pod["priorityClassName"] == "serving"
    assert pod["resourceClaims"] == values["resourceClaims"]
    assert pod["serviceAccountName"] == objects["ServiceAccount"]["metadata"]["name"] == "models"
    assert server["args"] == values["args"]
    assert server["envFrom"] == values["envFrom"]
    assert values["env"][0] in server["env"]
    assert server["resources"]["claims"] == values["resources"]["claims"]
    assert values["volumes"][0] in pod["volumes"]
    assert values["volumeMounts"][0] in server["volumeMounts"]
    for kind in ("Service", "Ingress", "HTTPRoute", "ServiceAccount"):
        assert objects[kind]["metadata"]["annotations"] == {"example.com/team": "models"}
    template = objects["Deployment"]["spec"]["template"]["metadata"]
    assert template["annotations"] == {"example.com/team": "models"}
