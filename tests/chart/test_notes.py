"""The notes after an installation can be pasted."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.chart.helm_chart import HelmChart, Object

pytestmark = pytest.mark.needs("helm")


Notes = Callable[[Object], str]


@pytest.fixture
def notes(chart: HelmChart, tmp_path: Path) -> Notes:
    """Render the notes: in a copy of the chart, as ``helm template`` leaves them out."""
    copy = tmp_path / "chart"
    shutil.copytree(chart.folder, copy)
    text = (copy / "templates/NOTES.txt").read_text()
    (copy / "templates/_notes.tpl").write_text(f'{{{{- define "notes" }}}}{text}{{{{ end }}}}')
    (copy / "templates/notes.yaml").write_text(
        "kind: Notes\nmetadata: {labels: {app.kubernetes.io/component: server}}\n"
        'text: {{ include "notes" . | quote }}'
    )
    chart.folder = copy
    return lambda values: str(chart.objects(values, namespace="serving")["Notes"]["text"])


@pytest.mark.parametrize(
    ("values", "lines"),
    [
        (
            {},
            [
                "wait --timeout=2m --for=condition=Ready inferenceservice/model-server",
                "port-forward service/model-server-predictor 8080:80",
                "http://127.0.0.1:8000/",
                "port-forward service/model-server-application 8000:80",
                "Pods: 1 to 5, more when they use over 70 % of the CPU they request",
                "get hpa model-server --watch",
            ],
        ),
        (
            {"mode": "deployment", "service": {"port": 9000}, "autoscaling": {"type": "none"}},
            [
                "wait --timeout=2m --for=condition=Available deployment/model-server",
                "port-forward service/model-server 8080:9000",
                "Pods: 1, always",
            ],
        ),
        (
            {
                "application": {
                    "service": {"port": 9001},
                    "ingress": {"enabled": True, "hosts": ["homes.example.com"]},
                }
            },
            [
                "port-forward service/model-server-application 8000:9001",
                "From outside: http://homes.example.com/",
            ],
        ),
        (
            {
                "autoscaling": {
                    "type": "keda",
                    "cpuUtilization": 0,
                    "keda": {"triggers": [{"type": "cron"}]},
                },
                "models": {"volume": {"emptyDir": {}}},
                "ingress": {"enabled": True, "hosts": ["a.example.com"], "tls": [{}]},
            },
            [
                "more when they pass another of your metrics",
                "get scaledobject model-server --watch",
                "/v1/models/<name>/schema tells what each reads",
                "From outside: https://a.example.com/",
            ],
        ),
    ],
    ids=["kserve", "deployment", "application", "keda"],
)
def test_the_notes(notes: Notes, values: Object, lines: list[str]) -> None:
    text = notes(values)

    for line in lines:
        assert line in text
    assert "kubectl --namespace serving" in text
    assert """-H 'Content-Type: application/json' -d '{"instances": [[6.5]]}'""" in text
    assert "-H 'Content-Type: text/csv'" in text
    assert "helm test model-server --namespace serving" in text


def test_the_notes_without_the_application(notes: Notes) -> None:
    text = notes({"application": {"enabled": False}})

    assert "model-server-application" not in text
    assert "8000" not in text


def test_the_notes_tell_to_whom_grpc_is_open(notes: Notes) -> None:
    closed = "gRPC on port 8081 is closed to other pods until networkPolicy.grpc names"
    peers: list[Object] = [{"podSelector": {}}]

    assert closed in notes({})
    for opened in ({"enabled": False}, {"grpc": peers}):
        assert closed not in notes({"networkPolicy": opened})
    assert closed not in notes({"grpc": False})
