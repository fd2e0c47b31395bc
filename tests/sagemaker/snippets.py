"""Run the Python of docs/sagemaker.md with the SDK's own packages, and tell what came out.

``calls``: the calls of boto3. Each is checked by the SDK against its description of the service and
then answered here; predictions are handed on to two containers that serve.

``local``: the SDK's local mode, which runs containers by itself.
"""

import importlib
import io
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

ANSWERS: dict[str, dict[str, Any]] = {
    "DescribeTrainingJob": {
        "TrainingJobStatus": "Completed",
        "ModelArtifacts": {"S3ModelArtifacts": "s3://bucket/models/rooms-1/output/model.tar.gz"},
    },
    "DescribeEndpoint": {"EndpointStatus": "InService"},
}


def main() -> None:
    """Read what to do as JSON from standard input."""
    asked = json.load(sys.stdin)
    text = Path(asked["page"]).read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    wanted: tuple[str, ...]
    if asked["kind"] == "calls":
        answer(asked)
        code = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        wanted = ("in_json", "in_csv", "of_many")
    else:
        code = re.findall(r"^```python local\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        code[0] = prepared(code[0], asked)
        wanted = ("by_csv", "by_json")
    for block in code:
        exec(compile(block, asked["page"], "exec"), names)
    told = {name: names[name] for name in wanted}
    sys.stdout.write("\n" + json.dumps({**told, "blocks": len(code), "called": CALLED}) + "\n")


CALLED: list[str] = []


def answer(asked: dict[str, Any]) -> None:
    """Answer the calls of every client of boto3's default session."""
    import boto3

    Router = importlib.import_module("router").Router
    router = Router(asked["many"], Path(asked["archives"]), Path(asked["mounted"]))

    def called(model: Any, params: dict[str, Any], **_: Any) -> tuple[Any, dict[str, Any]]:
        CALLED.append(model.name)
        parsed = dict(ANSWERS.get(model.name, {}))
        if model.name == "InvokeEndpoint":
            headers = {key: value for key, value in params["headers"].items() if value is not None}
            target = headers.pop("X-Amzn-SageMaker-Target-Model", None)
            if target is None:
                one = Router(asked["one"], Path(), Path())
                status, body = one.ask("POST", "/invocations", params["body"], headers)
            else:
                status, body = router.invoke(target, params["body"], headers)
            assert status == 200, body
            parsed = {"Body": io.BytesIO(body)}
        return type("Answer", (), {"status_code": 200}), parsed

    boto3.setup_default_session()
    boto3.DEFAULT_SESSION._session.register("before-call", called)
    os.environ.update({"REGISTRY": "registry", "BUCKET": "bucket"})
    os.environ["ROLE_ARN"] = "arn:aws:iam::111111111111:role/local"


def prepared(block: str, asked: dict[str, Any]) -> str:
    """Name the test's image, a free port and folders that are cleaned up."""
    local = '"local_code": True'
    own = f'{local}, "serving_port": {asked["port"]}, "container_root": {asked["folder"]!r}'
    return block.replace("model-server-sagemaker:0.1.0", asked["image"]).replace(local, own)


if __name__ == "__main__":
    main()
