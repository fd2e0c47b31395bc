"""What a client gets wrong is told with the right status, never as a 5xx, never with a trace."""

import gzip
import json
import re
import urllib.error
import urllib.request

import httpx
import pytest

from harness.processes import ServerProcess

JSON, CSV = "application/json", "text/csv"
GOOD = '{"instances": [[6.5]]}'


def instances(text: str) -> str:
    return f'{{"instances": {text}}}'


@pytest.mark.parametrize(
    ("body", "content_type", "words"),
    [
        (instances("[[6.5, 1]]"), JSON, "row 1: 1 value expected (RM), 2 given"),
        (instances('[{"RN": 6.5}]'), JSON, "row 1: feature 'RM' is missing"),
        (instances('[{"RM": 6.5, "B": 1}]'), JSON, "row 1: unknown feature 'B'"),
        (instances('[[6.5], ["six"]]'), JSON, "row 2, feature 'RM': 'six' is not a number"),
        (instances("[[null]]"), JSON, "row 1, feature 'RM': null is not a number"),
        (instances("[[true]]"), JSON, "row 1, feature 'RM': true is not a number"),
        (instances("[[NaN]]"), JSON, "not JSON"),
        (instances("[[1e999]]"), JSON, "not JSON"),
        (instances("[[6.5], [1e39]]"), JSON, "row 2, feature 'RM': 1e+39 is above 3.4e+38"),
        (instances("[[[6.5]]]"), JSON, "row 1, feature 'RM': [6.5] is not a number"),
        (instances("[true]"), JSON, "row 1, feature 'RM': true is not a number"),
        (instances("6.5"), JSON, '"instances" is not a list of rows'),
        (instances("[]"), JSON, "there are no instances"),
        ("", JSON, "not JSON"),
        ("{", JSON, "not JSON: unexpected end of data"),
        ("[" * 100_000, JSON, "not JSON"),
        ("6.5", JSON, 'not an object with "instances", nor a list of rows'),
        (b"\xff\xfe", JSON, "not JSON"),
        ("", CSV, "there are no instances"),
        ("RM\n", CSV, "there are no instances"),
        ("RM,B\n6.5,1\n", CSV, "the header: unknown feature 'B'"),
        ("6.5\nsix\n", CSV, "row 2, feature 'RM': 'six' is not a number"),
        ("6.5\nnan\n", CSV, "row 2, feature 'RM': nan is not a finite number"),
        ("6.5\n-1e39\n", CSV, "row 2, feature 'RM': -1e+39 is below -3.4e+38"),
        ("6.5\n1_0\n", CSV, "row 2, feature 'RM': '1_0' is not a number"),
        ("6.5,1\n", CSV, "row 1: 1 value expected (RM), 2 given"),
        ('"6.5', CSV, "not CSV"),
        (b"\xff\xfe", CSV, "not CSV in UTF-8"),
    ],
)
def test_400(server: ServerProcess, body: str | bytes, content_type: str, words: str) -> None:
    check(server.predict("rooms", body, content_type), 400, words)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/v1/models/nope:predict", "Model with name nope does not exist."),
        ("/v1/nope", "Not Found: POST /v1/nope"),
        ("/v1/models/rooms:explain", ""),
    ],
)
def test_404(server: ServerProcess, path: str, words: str) -> None:
    check(server.client.post(path, content=GOOD, headers={"content-type": JSON}), 404, words)


@pytest.mark.parametrize("path", ["/v1/models/nope", "/v1/models/nope/schema", "/nope"])
def test_404_for_get(server: ServerProcess, path: str) -> None:
    check(server.client.get(path), 404, "")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_405(server: ServerProcess, method: str) -> None:
    answer = server.client.request(method, "/v1/models/rooms:predict")
    check(answer, 405, f"Method Not Allowed: {method} /v1/models/rooms:predict")
    assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize("accept", ["image/png", "text/html", "nonsense", "text/csv;q=0"])
def test_406(server: ServerProcess, accept: str) -> None:
    answer = server.predict("rooms", GOOD, JSON, accept)
    check(answer, 406, "take application/json or text/csv")


@pytest.mark.parametrize("announced", [True, False])
def test_413(server: ServerProcess, *, announced: bool) -> None:
    body = b" " * (6 * 1024**2 + 1)
    answer = server.client.post(
        "/v1/models/rooms:predict",
        content=body if announced else iter([body[:1000], body[1000:]]),
        headers={"content-type": JSON},
    )
    check(answer, 413, "the body is longer than 6291456 bytes; send fewer rows")


def test_413_reaches_a_client_that_sends_all_before_it_listens(server: ServerProcess) -> None:
    request = urllib.request.Request(
        f"{server.url}/v1/models/rooms:predict", b" " * (7 * 1024**2), {"content-type": JSON}
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)
    with refused.value as answer:
        assert answer.status == 413
        assert b"send fewer rows" in answer.read()


def test_a_body_just_within_the_limit_is_read(server: ServerProcess) -> None:
    answer = server.predict("rooms", GOOD.ljust(6 * 1024**2), JSON)
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "multipart/form-data", "nonsense", "text/csv; charset=latin-1"],
)
def test_415(server: ServerProcess, content_type: str) -> None:
    check(server.predict("rooms", GOOD, content_type), 415, "can't read")


@pytest.mark.parametrize(
    ("tensor", "words"),
    [
        ({"name": "input-0", "shape": [1, 2], "datatype": "FP64", "data": [6.5, 1]}, "[rows, 1]"),
        ({"name": "RM", "shape": [3, 1], "datatype": "FP64", "data": [6.5]}, "[3, 1] has 3"),
        ({"name": "input-0", "shape": [1], "datatype": "BYTES", "data": ["six"]}, "holds numbers"),
        ({"name": "RM", "shape": [1, 1], "datatype": "FP99", "data": [6.5]}, "datatype 'FP99'"),
        ({"name": "RM", "shape": [0, 1], "datatype": "FP64", "data": []}, "no instances"),
        ({"name": "RM", "shape": [1, 2], "datatype": "FP64", "data": [6, 7]}, "is [1, 2], not"),
        ({"name": "LSTAT", "shape": [1], "datatype": "FP64", "data": [12.5]}, "is no feature"),
        (
            {"name": "RM", "shape": [2, 1], "datatype": "FP64", "data": [6.5, 1e39]},
            "row 2, feature 'RM': 1e+39 is above 3.4e+38, the highest float32 number",
        ),
        ({"name": "x"}, "missing required field `shape`"),
    ],
)
def test_v2_400(server: ServerProcess, tensor: dict[str, object], words: str) -> None:
    body = json.dumps({"inputs": [tensor]})
    headers = {"content-type": JSON}
    answer = server.client.post("/v2/models/rooms/infer", content=body, headers=headers)
    check(answer, 400, words)


def test_v2_knows_the_version_of_a_model(server: ServerProcess) -> None:
    tensor = {"name": "RM", "shape": [1, 1], "datatype": "FP64", "data": [6.5]}
    body = json.dumps({"inputs": [tensor]})
    answer = server.client.post("/v2/models/rooms/infer", content=body).json()
    path = f"/v2/models/rooms/versions/{answer['model_version']}/infer"
    assert server.client.post(path, content=body).json() == answer
    refused = server.client.post("/v2/models/rooms/versions/99/infer", content=body)
    check(refused, 404, "Model rooms has no version '99'; its version is")


def test_a_body_may_come_packed(server: ServerProcess) -> None:
    def sent(content: bytes, coding: str) -> httpx.Response:
        return server.client.post(
            "/v1/models/rooms:predict",
            content=content,
            headers={"content-type": JSON, "content-encoding": coding},
        )

    plain = server.predict("rooms", GOOD, JSON)
    assert sent(gzip.compress(GOOD.encode()), "gzip").json() == plain.json()
    check(sent(GOOD.encode(), "br"), 415, "can't read Content-Encoding 'br'")
    check(sent(gzip.compress(b" " * 7_000_000), "gzip"), 413, "longer than 6291456 bytes when it")


@pytest.mark.parametrize("content_type", ["text/csv", "text/plain", "nonsense"])
def test_v2_415(server: ServerProcess, content_type: str) -> None:
    headers = {"content-type": content_type}
    answer = server.client.post("/v2/models/rooms/infer", content="{}", headers=headers)
    check(answer, 415, "send application/json, or tensors in binary with the header Inference-H")


def check(answer: httpx.Response, status: int, words: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == JSON
    told = answer.json()
    message = told.pop("error")
    assert words in message
    assert "Traceback" not in message
    assert told == members(message)


def members(message: str) -> dict[str, int | str]:
    """Return what a message says of row and feature, which programs are told apart from it."""
    row = re.match(r"row (\d+)", message)
    feature = re.match(r"(?:row \d+|the header)[,:] feature '(.*?)'", message)
    return {
        **({"row": int(row[1])} if row else {}),
        **({"feature": feature[1]} if feature else {}),
    }
