"""Compare a server's answers with its models' golden rows: ``python predict.py URL MODELS``."""

import json
import sys
import time
from pathlib import Path
from typing import Any

import httpx

TIMEOUT_S = 120


def main(url: str, models: str) -> int:
    """Print one line for each model; return how many are wrong, or 1 where there is none."""
    manifests = [json.loads(path.read_bytes()) for path in Path(models).glob("[!.]*/manifest.json")]
    if not manifests:
        print(f"{models}: holds no model")
        return 1
    with httpx.Client(base_url=url, timeout=30) as client:
        await_ready(client)
        return sum(not check(client, manifest) for manifest in manifests)


def await_ready(client: httpx.Client) -> None:
    """Wait until the server is ready: Helm does not wait for an InferenceService."""
    deadline = time.monotonic() + TIMEOUT_S
    while not is_ready(client):
        if time.monotonic() > deadline:
            sys.exit(f"{client.base_url}: not ready after {TIMEOUT_S} s")
        time.sleep(1)


def is_ready(client: httpx.Client) -> bool:
    """Ask the server once whether it is ready."""
    try:
        return client.get("/v2/health/ready").is_success
    except httpx.TransportError:
        return False


def check(client: httpx.Client, manifest: dict[str, Any]) -> bool:
    """Predict the golden rows of one model and print whether they come out as expected."""
    name, golden, tolerance = manifest["name"], manifest["golden"], manifest["tolerance"]
    response = client.post(f"/v1/models/{name}:predict", json={"instances": golden["instances"]})
    if not response.is_success:
        print(f"{name}: answered with {response.status_code}: {response.text}")
        return False
    pairs = zip(response.json()["predictions"], golden["predictions"], strict=True)
    wrong = [pair for pair in pairs if not agree(*pair, **tolerance)]
    for actual, expected in wrong[:1]:
        print(f"{name}: predicts {actual} where {expected} is expected")
    if not wrong:
        print(f"{name}: {len(golden['predictions'])} golden rows as expected")
    return not wrong


def agree(actual: Any, expected: Any, absolute: float, relative: float) -> bool:
    """Tell whether a prediction is within the tolerance; a label must be the same."""
    if isinstance(expected, str):
        return bool(actual == expected)
    return bool(abs(actual - expected) <= absolute + relative * abs(expected))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
