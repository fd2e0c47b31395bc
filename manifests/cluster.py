"""The kind cluster with the add-ons of ``addons.yaml``: bring it up, load an image, take it down.

Every command can be given again: what is there is left alone, and the second time takes seconds.
The charts come from the repositories that ``addons.yaml`` names, as ``helm repo add`` has made them
known, or from where ``CHART_MIRROR`` says: a folder that holds each chart under its name, or an
``oci://`` address; after ``kserve=`` for those of one repository, by commas for several.
``KIND_NODE_IMAGE`` names another node image than kind's own.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
PROGRAMS = ("docker", "kind", "kubectl", "helm")


class ClusterError(Exception):
    """Something that the user must set right; the message says what."""


def main(arguments: list[str]) -> int:
    """Run a command line; return the exit status."""
    parser = argparse.ArgumentParser(prog="cluster.py", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--name", default="model-server", help="the cluster (%(default)s)")
    parser.add_argument("--kubeconfig", type=Path, help="file to write access to it to")
    commands = parser.add_subparsers(dest="command", required=True)
    up_parser = commands.add_parser("up", help="create the cluster and install the add-ons")
    up_parser.add_argument("--config", type=Path, default=HERE / "kind.yaml", help="kind's config")
    load_parser = commands.add_parser("load", help="make local images known to the cluster")
    load_parser.add_argument("images", nargs="+", help="such as model-server:0.1.0")
    commands.add_parser("down", help="delete the cluster")
    chosen = parser.parse_args(arguments)
    try:
        cluster = Cluster(chosen.name, chosen.kubeconfig)
        if chosen.command == "up":
            cluster.up(chosen.config)
        elif chosen.command == "load":
            cluster.load(chosen.images)
        else:
            cluster.down()
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


class Cluster:
    """One kind cluster.

    Parameters
    ----------
    name : str
    kubeconfig : Path, optional
        Where access to it is written; the user's own file by default.
    """

    def __init__(self, name: str, kubeconfig: Path | None = None) -> None:
        self.name = name
        access = {} if kubeconfig is None else {"KUBECONFIG": str(kubeconfig)}
        self.environment = {**os.environ, **access}
        self.context = f"kind-{name}"
        for program in PROGRAMS:
            if shutil.which(program) is None:
                raise ClusterError(f"{program} is not installed; install it and try again")

    def up(self, config: Path) -> None:
        """Create the cluster where it is missing, and install what is missing in it.

        Raises
        ------
        ClusterError
            If a command fails; its last lines are told.
        """
        if self.exists():
            _say(f"cluster {self.name}: is there")
            self.run("kind", "export", "kubeconfig", "--name", self.name)
        else:
            image = os.environ.get("KIND_NODE_IMAGE")
            _say(f"cluster {self.name}: creating it (about 20 s)")
            self.run(
                *("kind", "create", "cluster", "--name", self.name, "--config", str(config)),
                *("--wait", "120s", *(("--image", image) if image else ())),
            )
        releases = self.releases()
        for addon in yaml.safe_load((HERE / "addons.yaml").read_text()):
            self._install(addon, releases)
        _say(f"cluster {self.name}: ready; kubectl --context {self.context}")

    def load(self, images: list[str]) -> None:
        """Make local images known to the cluster's node."""
        for image in images:
            _say(f"image {image}: loading it (about 20 s where it is new)")
            self.run("kind", "load", "docker-image", image, "--name", self.name)

    def down(self) -> None:
        """Delete the cluster, if there is one."""
        _say(f"cluster {self.name}: deleting it")
        self.run("kind", "delete", "cluster", "--name", self.name)

    def exists(self) -> bool:
        """Tell whether there is a cluster of this name."""
        return self.name in self.run("kind", "get", "clusters").split()

    def releases(self) -> dict[str, str]:
        """Return the chart and version of each Helm release that is deployed, by its name."""
        listed = json.loads(
            self.helm("list", "--all-namespaces", "--deployed", "--output", "json") or "[]"
        )
        return {release["name"]: release["chart"] for release in listed}

    def repositories(self) -> set[str]:
        """Return the names of the Helm repositories that the user has added."""
        try:
            listed = json.loads(self.run("helm", "repo", "list", "--output", "json"))
        except ClusterError:  # an older Helm fails where there is none
            return set()
        return {repository["name"] for repository in listed}

    def helm(self, *arguments: str, stdin: str | None = None) -> str:
        """Run Helm on this cluster and return what it prints."""
        return self.run("helm", "--kube-context", self.context, *arguments, stdin=stdin)

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl on this cluster and return what it prints."""
        return self.run("kubectl", "--context", self.context, *arguments, stdin=stdin)

    def run(self, *command: str, stdin: str | None = None) -> str:
        """Run a command with this cluster's access and return what it prints.

        Raises
        ------
        ClusterError
            If it fails, or can't be run.
        """
        try:
            ended = subprocess.run(
                command,
                input=stdin,
                env=self.environment,
                capture_output=True,
                text=True,
                check=False,
            )
        except OSError as error:
            raise ClusterError(f"{command[0]} can't be run: {error}") from error
        if ended.returncode:
            last = "\n".join((ended.stderr or ended.stdout).strip().splitlines()[-15:])
            raise ClusterError(f"`{' '.join(command)}` failed:\n{last}")
        return ended.stdout

    def _install(self, addon: dict[str, Any], releases: dict[str, str]) -> None:
        chart, version = addon["chart"], addon["version"]
        if releases.get(chart) == f"{chart}-{version}":
            _say(f"{chart} {version}: is there")
            return
        source = self._source(addon)
        begun = time.monotonic()
        self.helm(
            *("upgrade", "--install", chart, source, "--version", version),
            *("--namespace", addon["namespace"], "--create-namespace"),
            *("--wait", "--timeout", "5m", "--values", "-"),
            stdin=yaml.safe_dump(addon.get("values", {})),
        )
        _say(f"{chart} {version}: installed in {time.monotonic() - begun:.0f} s")

    def _source(self, addon: dict[str, Any]) -> str:
        """Return where Helm takes an add-on's chart from.

        Raises
        ------
        ClusterError
            If there is neither a mirror nor the repository that the add-on names.
        """
        chart, repository = addon["chart"], addon["repository"]
        for word in filter(None, os.environ.get("CHART_MIRROR", "").split(",")):
            name, _, place = word.rpartition("=")
            if name in {"", repository}:
                return f"{place.rstrip('/')}/{chart}"
        if repository not in self.repositories():
            raise ClusterError(
                f"chart {chart} {addon['version']}: Helm knows no repository {repository!r}; look "
                f"its address up (`helm search hub {chart} --list-repo-url`) and give it by `helm "
                f"repo add {repository} ADDRESS`, or where it begins with oci:// by CHART_MIRROR="
                f"{repository}=ADDRESS; CHART_MIRROR=FOLDER takes every chart from a folder"
            )
        return f"{repository}/{chart}"


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
