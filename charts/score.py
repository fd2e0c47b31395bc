"""Have kube-score judge what the chart renders, but for the exceptions in charts/kube-score.yaml.

::

    PYTHONPATH=. python charts/score.py    name what it finds, and exit with 1

The chart is rendered in each mode, with its default values and those for production, with and
without the application.
"""

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import yaml

from charts.generate import CHART, render

EXCEPTIONS = Path("charts/kube-score.yaml")
VALUES = {"default": "values.yaml", "production": "values-production.yaml"}
MODES = ("kserve", "deployment")
APPLICATION = ("true", "false")
KUBE_SCORE = [
    *("kube-score", "score", "-", "--output-format", "json", "--kubernetes-version", "v1.34"),
    *("--enable-optional-test", "container-seccomp-profile"),
    *("--enable-optional-test", "container-ports-check"),
]
FLAWLESS = 10
"""The grade of a check that has nothing to say."""

Object = dict[str, Any]


@dataclass(frozen=True)
class Finding:
    """What a check says of an object, rendered from the values of one name."""

    values: str
    check: str
    says: str
    where: str

    def is_in(self, exception: Object) -> bool:
        """Tell whether an exception forgives it."""
        return (self.check, self.says) == (exception["check"], exception["says"]) and (
            exception.get("values", self.values) == self.values
        )


def main() -> int:
    """Print what is found, each with its cure; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--root", type=Path, default=Path(__file__).parents[1], help="the project's folder"
    )
    root = parser.parse_args().root
    if shutil.which(KUBE_SCORE[0]) is None:
        sys.exit("kube-score is missing: CONTRIBUTING.md tells how to install it")
    exceptions = yaml.safe_load((root / EXCEPTIONS).read_text())
    found = dict.fromkeys(findings(root / CHART))
    faults = [
        f"{each.where}: {each.says} ({each.check}); mend it, or give a reason in {EXCEPTIONS}"
        for each in found
        if not any(map(each.is_in, exceptions))
    ]
    faults += [
        f"{EXCEPTIONS}: nothing is found of {exception['check']}; take the exception away"
        for exception in exceptions
        if not any(each.is_in(exception) for each in found)
    ]
    for fault in faults:
        print(fault)
    return int(bool(faults))


def findings(chart: Path) -> Iterator[Finding]:
    """Yield what kube-score finds in each rendering of a chart."""
    for (name, file), mode, application in product(VALUES.items(), MODES, APPLICATION):
        flags = ("--set", f"mode={mode},application.enabled={application}")
        rendered = render(chart, "--values", str(chart / file), *flags)
        objects = [made for each in rendered for made in as_kserve_makes(each)]
        for scored in score(objects):
            for check in scored["checks"]:
                if not check["skipped"] and check["grade"] < FLAWLESS:
                    for said in check["comments"]:
                        where = f"{scored['object_name']} of {name} values in mode {mode}"
                        yield Finding(name, check["check"]["id"], said["summary"], where)


def as_kserve_makes(rendered: Object) -> list[Object]:
    """Return an object, or of an InferenceService, which kube-score does not know, what runs it."""
    if rendered["kind"] != "InferenceService":
        return [rendered]
    name = f"{rendered['metadata']['name']}-predictor"
    metadata = {**rendered["metadata"], "name": name}
    selector = {"app": f"isvc.{name}"}
    pod = dict(rendered["spec"]["predictor"])
    labels, strategy = pod.pop("labels") | selector, pod.pop("deploymentStrategy")
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata,
        "spec": {
            "selector": {"matchLabels": selector},
            "strategy": strategy,
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata,
        "spec": {"selector": selector, "ports": [{"port": 80, "targetPort": 8080}]},
    }
    return [deployment, service]


def score(objects: list[Object]) -> list[Object]:
    """Return what kube-score says of objects.

    Raises
    ------
    SystemExit
        If it cannot read them.
    """
    run = subprocess.run(
        KUBE_SCORE, input=yaml.safe_dump_all(objects), capture_output=True, text=True, check=False
    )
    if not run.stdout:
        sys.exit(run.stderr.strip())
    scored: list[Object] = json.loads(run.stdout)
    return scored


if __name__ == "__main__":
    sys.exit(main())
