"""The chart as ``helm template`` renders it, in a process of its own."""

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts/model-server"
KSERVE = "serving.kserve.io/v1beta1"

Object = dict[str, Any]


def component(rendered: Object) -> str:
    """Return what an object belongs to: the server, the application or the test."""
    labels = rendered.get("metadata", {}).get("labels", {})
    return str(labels.get("app.kubernetes.io/component"))


@dataclass
class HelmChart:
    """A chart folder, and a folder to write values to."""

    folder: Path
    scratch: Path

    def objects(
        self,
        values: Object | None = None,
        *,
        release: str = "model-server",
        namespace: str = "default",
        of: str = "server",
    ) -> dict[str, Object]:
        """Return what is rendered for the server, the application or the test, by its kind.

        The chart makes one object of each kind for each.
        """
        run = self._template(values or {}, release, namespace, "--api-versions", KSERVE)
        assert not run.returncode, run.stderr
        documents = [
            document
            for document in yaml.safe_load_all(run.stdout)
            if document and component(document) == of
        ]
        by_kind = {document["kind"]: document for document in documents}
        assert len(by_kind) == len(documents)
        return by_kind

    def pod(self, values: Object | None = None, *, of: str = "server") -> Object:
        """Return the pod spec of the server, in either mode, of the application or of the test."""
        objects = self.objects(values, of=of)
        if "InferenceService" in objects:
            spec: Object = objects["InferenceService"]["spec"]["predictor"]
        elif "Deployment" in objects:
            spec = objects["Deployment"]["spec"]["template"]["spec"]
        else:
            spec = objects["Pod"]["spec"]
        return spec

    def refusal(self, values: Object, *, namespace: str = "default", kserve: bool = True) -> str:
        """Return what Helm says where it refuses the values."""
        flags = ("--api-versions", KSERVE) if kserve else ()
        run = self._template(values, "model-server", namespace, *flags)
        assert run.returncode, run.stdout
        return run.stderr

    def _template(
        self, values: Object, release: str, namespace: str, *flags: str
    ) -> subprocess.CompletedProcess[str]:
        file = self.scratch / "values.yaml"
        file.write_text(yaml.safe_dump(values))
        command = ["helm", "template", release, str(self.folder), "--namespace", namespace]
        command += ["--kube-version", "1.34", "--values", str(file), *flags]
        return subprocess.run(command, capture_output=True, text=True, check=False)
