"""Schemathesis, with all its checks, over the OpenAPI document that a server hands out."""

import json
import re
import subprocess
import sys
from pathlib import Path

import httpx

_CONFIG = """
[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", 503]

[[operations]]
include-path-regex = "/infer$"
checks.positive_data_acceptance.enabled = false
"""
"""No JSON Schema can say that what tensors hold fills their shapes."""

_CHANGING = r"/v2/repository/models/"
"""What would unload the models that are asked."""


def explore(
    url: str, folder: Path, *, examples: int, seed: int, token: str | None = None
) -> tuple[int, list[str]]:
    """Call every operation with what its schema allows and what not.

    Parameters
    ----------
    url : str
        Of the server.
    folder : Path
        For the reports.
    examples : int
        For each operation, of each kind.
    seed : int
    token : str, optional
        That lets requests in.

    Returns
    -------
    count : int
        Requests that were sent.
    failures : list of str
        The end of the report of a run that found something.
    """
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    answer = httpx.get(f"{url}/openapi.json", headers=headers)
    document = _of_json(answer.raise_for_status().json())
    (folder / "openapi.json").write_text(json.dumps(document), encoding="utf-8")
    (folder / "schemathesis.toml").write_text(_CONFIG, encoding="utf-8")
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", "openapi.json", "--url", url),
        *("--max-examples", str(examples)),
        *("--phases", "examples,coverage,fuzzing", "--seed", str(seed)),
        *("--exclude-path-regex", _CHANGING, "--no-color", "--warnings", "off"),
        *(word for name, value in headers.items() for word in ("-H", f"{name}: {value}")),
    ]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    generated = re.search(r"(\d+) generated", ended.stdout)
    failures = []
    if ended.returncode or not generated:
        failures.append(ended.stdout[-3000:] + ended.stderr[-2000:])
    return int(generated[1]) if generated else 0, failures


def _of_json(document: dict[str, object]) -> dict[str, object]:
    """Return a document without the other media types, of which a schema says only what they are.

    A text of which only that is said would have to be taken, whatever is in it.
    """
    paths: dict[str, dict[str, dict[str, object]]] = document["paths"]  # type: ignore[assignment]
    for operations in paths.values():
        for operation in operations.values():
            content = operation.get("requestBody", {}).get("content", {})  # type: ignore[attr-defined]
            for media_type in [one for one in content if one != "application/json"]:
                del content[media_type]
    return document
