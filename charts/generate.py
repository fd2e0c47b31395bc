"""Make what follows from the chart's values.yaml: its schema, its README's table, the manifests.

The schema of a component's settings follows from what its process takes.

::

    PYTHONPATH=. python charts/generate.py           write them
    PYTHONPATH=. python charts/generate.py --check   name those that differ, and exit with 1
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic.alias_generators import to_camel

import application.settings
import model_server.settings

CHART = Path("charts/model-server")
MANIFESTS = Path("manifests")
MADE = "# Made from the chart's default values by charts/generate.py.\n"
TABLE = re.compile(r"(<!-- values: .*? -->\n).*(<!-- end of values -->)", re.DOTALL)
HELM = [
    *("template", "model-server", "--namespace", "model-server"),
    *("--kube-version", "1.34", "--api-versions", "serving.kserve.io/v1beta1"),
]
OLD_SCHEMA = "--skip-schema-validation"
"""The schema that is there is the one before the change."""
Told = tuple[str, dict[str, Any]]
KINDS: dict[type, dict[str, Any]] = {
    bool: {"type": "boolean"},
    int: {"type": "integer", "minimum": 0},
    str: {"type": "string"},
    list: {"type": "array", "items": {"type": "object"}},
    dict: {"type": "object", "additionalProperties": {"type": "string"}},
}
SETTINGS = {
    "settings": model_server.settings.Settings,
    "application.settings": application.settings.Settings,
}
TAKEN_OVER = ("description", "type", "enum", "minimum", "exclusiveMinimum", "maximum", "anyOf")


@dataclass(frozen=True)
class Value:
    """A key of values.yaml, with the keys below it where those are told one by one."""

    path: str
    default: Any
    doc: str
    schema: dict[str, Any]
    children: tuple["Value", ...]

    @property
    def key(self) -> str:
        """The last part of the path."""
        return self.path.rpartition(".")[2]

    def leaves(self) -> Iterator["Value"]:
        """Yield the values that have no children."""
        if not self.children:
            yield self
        for child in self.children:
            yield from child.leaves()


def main() -> int:
    """Write or check; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="write nothing, name what differs")
    parser.add_argument(
        "--root", type=Path, default=Path(__file__).parents[1], help="the project's folder"
    )
    arguments = parser.parse_args()
    files = generated(arguments.root)
    drifted = [path for path, text in files.items() if _differs(arguments.root / path, text)]
    for path in drifted:
        if arguments.check:
            print(f"{path}: differs from values.yaml; run `make chart`")
        else:
            (arguments.root / path).write_text(files[path])
            print(f"{path}: written")
    return int(arguments.check and bool(drifted))


def generated(root: Path) -> dict[Path, str]:
    """Return the text of every file that is made, by its path below `root`."""
    chart = root / CHART
    values = read((chart / "values.yaml").read_text())
    readme = TABLE.sub(
        lambda markers: f"{markers[1]}{table(values)}{markers[2]}",
        (chart / "README.md").read_text(),
    )
    rendered = {MANIFESTS / name: text for name, text in manifests(chart).items()}
    return {CHART / "values.schema.json": schema(values), CHART / "README.md": readme, **rendered}


def read(text: str) -> tuple[Value, ...]:
    """Read values.yaml with its comments.

    Raises
    ------
    SystemExit
        If a key is not told by a comment.
    """
    root = yaml.compose(text, yaml.SafeLoader)
    return _children(root, text.splitlines(), "", {}) if root else ()


def schema(values: tuple[Value, ...]) -> str:
    """Return the JSON schema; ``global`` is what Helm adds to a subchart's values."""
    root = _object(values)
    root["properties"]["global"] = {"type": "object"}
    draft = {"$schema": "http://json-schema.org/draft-07/schema#"}
    return json.dumps({**draft, **root}, indent=2) + "\n"


def table(values: tuple[Value, ...]) -> str:
    """Return the README's table, a row for each leaf."""
    rows = [
        f"| `{leaf.path}` | {_shown(leaf.default)} | {leaf.doc.replace('|', chr(92) + '|')} |\n"
        for value in values
        for leaf in value.leaves()
    ]
    return "".join(["| key | default | what it does |\n|-|-|-|\n", *rows])


def manifests(chart: Path) -> dict[str, str]:
    """Render the chart's defaults for those without Helm, a file for each object."""
    files = {}
    for document in render(chart, "--skip-tests", OLD_SCHEMA):
        for labels in _labels(document):
            labels.pop("app.kubernetes.io/managed-by", None)
        text = yaml.safe_dump(document, sort_keys=False, width=100)
        component = document["metadata"]["labels"]["app.kubernetes.io/component"]
        prefix = "" if component == "server" else f"{component}-"
        files[f"{prefix}{document['kind'].lower()}.yaml"] = MADE + text
    return files


def render(chart: Path, *flags: str) -> list[Any]:
    """Return the objects that Helm makes of a chart.

    Raises
    ------
    SystemExit
        If Helm is missing or refuses the chart.
    """
    helm = shutil.which("helm")
    if helm is None:
        sys.exit("helm is missing: install Helm 3.16 or newer")
    command = [helm, *HELM, str(chart), *flags]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode:
        sys.exit(run.stderr.strip())
    return [document for document in yaml.safe_load_all(run.stdout) if document]


def _differs(path: Path, text: str) -> bool:
    return not path.exists() or path.read_text() != text


def _children(
    node: yaml.Node, lines: list[str], parent: str, told: dict[str, Told]
) -> tuple[Value, ...]:
    return tuple(_value(key, child, lines, parent, told) for key, child in node.value)


def _value(
    key: yaml.Node, node: yaml.Node, lines: list[str], parent: str, told: dict[str, Told]
) -> Value:
    path = f"{parent}{key.value}"
    comment = _comment(lines, key.start_mark.line)
    notes = [line.removeprefix("@schema") for line in comment if line.startswith("@schema")]
    annotated = {name: part for note in notes for name, part in yaml.safe_load(note).items()}
    prose = [line for line in comment if not line.startswith("@schema")]
    doc = " ".join(prose).removeprefix("-- ") if prose and prose[0].startswith("-- ") else ""
    namesake_doc, namesake_schema = told.get(path.partition(".")[2], ("", {}))
    doc, annotated = doc or namesake_doc, annotated or namesake_schema
    told[path] = doc, annotated
    closed = isinstance(node, yaml.MappingNode) and bool(node.value) and "type" not in annotated
    if not doc and not closed:
        sys.exit(f"values.yaml: {path} has no comment; tell what it does with `# --` above it")
    children = _children(node, lines, f"{path}.", told) if closed else ()
    default = yaml.safe_load(yaml.serialize(node))
    return Value(path, default, doc, annotated, children)


def _comment(lines: list[str], line: int) -> list[str]:
    start = line
    while start and lines[start - 1].strip().startswith("#"):
        start -= 1
    return [text.strip().removeprefix("#").strip() for text in lines[start:line]]


def _object(values: tuple[Value, ...]) -> dict[str, Any]:
    properties = {value.key: _schema(value) for value in values}
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _schema(value: Value) -> dict[str, Any]:
    if value.children:
        return _object(value.children)
    if value.path in SETTINGS:
        return {"description": value.doc, **_settings(SETTINGS[value.path].model_json_schema())}
    kind = {} if "type" in value.schema else KINDS[type(value.default)]
    return {"description": value.doc, **kind, **value.schema}


def _settings(model: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of settings by their names in the chart; none can be null."""
    properties = {}
    for name, told in model["properties"].items():
        kinds = [part for part in told.get("anyOf", [told]) if part["type"] != "null"]
        several = {"anyOf": kinds} if len(kinds) > 1 else kinds[0]
        every = {key: part for key, part in told.items() if key != "anyOf"} | several
        properties[to_camel(name)] = {key: every[key] for key in TAKEN_OVER if key in every}
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _shown(default: Any) -> str:
    text = json.dumps(default)
    return f"`{text}`" if len(text) <= 60 else "see values.yaml"


def _labels(node: Any) -> Iterator[dict[str, str]]:
    """Yield every map of labels in a manifest."""
    if isinstance(node, list):
        node = dict(enumerate(node))
    if isinstance(node, dict):
        for key, part in node.items():
            if key == "labels":
                yield part
            yield from _labels(part)


if __name__ == "__main__":
    sys.exit(main())
