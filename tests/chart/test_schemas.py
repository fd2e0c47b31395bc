"""Every object is what Kubernetes 1.34 and KServe's CRD take, and has no field they do not know."""

import os
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from tests.chart.helm_chart import CHART, HelmChart, Object

pytestmark = pytest.mark.needs("helm")

KUBERNETES = "1.34"
CUSTOM = {"InferenceService", "ScaledObject", "HTTPRoute", "ServiceMonitor"}
CI = ["deployment", "everything", "keda", "kserve", "minimal"]
FILES = [*(f"ci/{variant}-values.yaml" for variant in CI), "values-production.yaml"]
KSERVE = {"mode": "kserve", "service": {"type": "ClusterIP", "nodePort": 0, "annotations": None}}


def closed(schema: Any) -> Any:
    """Refuse the fields that a CRD's schema does not name, which the API server only drops."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {key: closed(part) for key, part in schema.items()}
    if schema.get("type") == "object" and "properties" in schema:
        schema.setdefault("additionalProperties", False)
    return schema


@pytest.fixture(scope="session")
def inference_service() -> jsonschema.Draft7Validator:
    mirror = os.environ.get("CHART_MIRROR")
    if mirror is None:
        pytest.skip("CHART_MIRROR is not set: name the folder that holds the chart kserve-crd")
    crd = Path(mirror, "kserve-crd/templates/serving.kserve.io_inferenceservices.yaml")
    [version] = [
        version
        for version in yaml.load(crd.read_text(), yaml.CSafeLoader)["spec"]["versions"]
        if version["name"] == "v1beta1"
    ]
    return jsonschema.Draft7Validator(closed(version["schema"]["openAPIV3Schema"]))


@pytest.mark.parametrize("mode", [{"mode": "deployment"}, KSERVE], ids=["deployment", "kserve"])
@pytest.mark.parametrize("file", FILES)
def test_every_object_is_valid(
    chart: HelmChart, inference_service: jsonschema.Draft7Validator, file: str, mode: Object
) -> None:
    values = yaml.safe_load((CHART / file).read_text())

    objects, beside, test = (
        chart.objects(values | mode, of=of) for of in ("server", "application", "test")
    )

    assert ("InferenceService" in objects) == (mode is KSERVE)
    assert ("Deployment" in beside) == ("minimal" not in file)
    for kind, rendered in [*objects.items(), *beside.items(), *test.items()]:
        if kind == "InferenceService":
            inference_service.validate(rendered)
        elif kind not in CUSTOM:
            kubernetes_validate.validate(rendered, KUBERNETES, strict=True)


def test_the_ci_folder_holds_just_these_variants() -> None:
    files = (CHART / "ci").iterdir()

    assert sorted(file.name.removesuffix("-values.yaml") for file in files) == CI


def test_an_unknown_field_of_an_inference_service_is_found(
    chart: HelmChart, inference_service: jsonschema.Draft7Validator
) -> None:
    rendered = chart.objects()["InferenceService"]
    rendered["spec"]["predictor"]["terminationGracePeriod"] = 30

    assert not inference_service.is_valid(rendered)
