"""Whatever is asked, and whatever the endpoint answers: a page or an error that is documented."""

import asyncio
import json
import math
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette

from application.settings import Settings
from application.site import create
from tests.application.asgi import Answer, Header, ask
from tests.application.stand_in import GRAPE, ODD, ROOMS, WINE, StandIn

FAULTS_OF_ENDPOINTS = {502, 503, 504}
HOST = (b"host", b"application.test")
NAMES = [
    "rooms",
    "wine",
    "grape",
    "odd",
    "none",
    "..",
    ".",
    "\N{SNOWMAN}" * 9000,
    "\0",
    "a\nb",
    "%",
]
TAILS = ["", "/", "/answer", "/file", "/example.csv", "/x"]
PATHS = ["/", "/about", "/offline", "/static/x/page.css", "/static/x/\0", "//evil.test/%2e", "/\n"]
DIGITS = b"9" * 5000

_BYTES = st.binary(max_size=40).map(lambda text: text.translate(None, b"\r\n\0"))
_TEXT = st.text(st.characters(codec="utf-8"), max_size=30)
_TRIED = settings(database=None, deadline=None, max_examples=50)

paths = (
    st.sampled_from(PATHS)
    | st.builds("/models/{}{}".format, st.sampled_from(NAMES) | _TEXT, st.sampled_from(TAILS))
    | _TEXT.map("/{}".format)
)
queries = st.binary(max_size=60) | st.lists(
    st.tuples(
        st.sampled_from([b"first", b"RM", b"alcohol", b"colour", b"%ff", b""]),
        st.sampled_from([DIGITS, b"-1", b"%00", b"1e999", b"%F0%9F%98%80", b"[", b"6,5", b"0"]),
    )
).map(lambda pairs: b"&".join(b"=".join(pair) for pair in pairs))
header_values = {
    b"host": [b"[", b"", b"a@b:c", b"[::1", b"\xff", b"x:99999999"],
    b"origin": [b"http://[", b"null", b"://", b"http://application.test"],
    b"sec-fetch-site": [b"none", b"same-origin"],
    b"accept": [b"text/html", b"*/*", b";;q=x"],
    b"accept-language": [b"de;q=", b"ar-u-nu-arab", b"zh_Hant@x", b"../en", b"-", b"en\xff"],
    b"accept-encoding": [b"gzip", b"identity;q=0"],
    b"content-type": [
        b"text/csv",
        b"multipart/form-data",
        b"multipart/form-data; boundary=b",
        b'MULTIPART/Form-Data; boundary="b"; charset=idna',
        b"multipart/form-data; boundary=b; charset=base64",
        b"multipart/form-data; boundary=b; charset=\xff",
        b"multipart/form-data; boundary=" + b"b" * 300,
    ],
    b"content-length": [DIGITS, b"-1"],
    b"x-forwarded-for": [b"1.2.3.4", b",", b"unknown, [::1]:x", b"fe80::1%\xff", DIGITS],
    b"x-forwarded-proto": [b"https", b"javascript"],
    b"range": [b"bytes=0-1", b"bytes=" + DIGITS + b"-", b"bytes=-"],
    b"if-none-match": [b"*", b'"'],
    b"if-modified-since": [b"x", b"Thu, 01 Jan 99999 00:00:00 GMT"],
}
headers = st.lists(
    st.sampled_from(list(header_values)).flatmap(
        lambda name: st.tuples(st.just(name), st.sampled_from(header_values[name]) | _BYTES)
    ),
    max_size=5,
)
cells = st.sampled_from(
    ["RM", "alcohol", "sweet", "colour", "6.5", "1e39", "-inf", "=1+1", '"', "a\nb", "\0", "x" * 9]
)
tables = st.lists(st.lists(cells, max_size=4).map(",".join), max_size=6).map("\n".join)
files = st.binary(max_size=80) | st.sampled_from([",", ";", "\n"]).flatmap(
    lambda mark: tables.map(lambda text: text.replace(",", mark).encode())
)
disposition = st.sampled_from(
    [
        b'form-data; name="file"; filename="a.csv"',
        b'form-data; name="file"',
        b'form-data; filename="\xff"',
        b'form-data; name="file"; filename=""',
        b"\xff;;=",
    ]
)
forms = st.lists(st.tuples(disposition, files), max_size=3).map(
    lambda parts: (
        b"".join(
            b"--b\r\ncontent-disposition: " + said + b"\r\n\r\n" + file + b"\r\n"
            for said, file in parts
        )
        + b"--b--\r\n"
    )
)
bodies = st.lists(files | forms | st.binary(max_size=80), max_size=3)


def run(app: Starlette, *asked: Any, **more: Any) -> Answer:
    return asyncio.run(ask(app, *asked, **more))


@_TRIED
@given(
    method=st.sampled_from(["GET", "HEAD", "POST", "POST", "OPTIONS", "X"]),
    path=paths,
    query=queries,
    headers=headers,
    body=bodies,
)
@example("POST", "/models/rooms/file", b"first=" + DIGITS, [HOST], [b"RM\n6\n"])
@example("POST", "/models/rooms/file", b"", [HOST, (b"origin", b"http://[")], [b"RM\n6\n"])
@example("GET", "/", b"", [(b"host", b"[")], [])
@example("GET", "/about/", b"", [(b"host", b"[")], [])
@example("GET", "/about/", b"\x80", [HOST], [])
@example("GET", "/models/" + "\N{SNOWMAN}" * 9000, b"", [HOST], [])
@example(
    "POST",
    "/models/rooms/file",
    b"",
    [HOST, (b"content-type", b"multipart/form-data; boundary=b; charset=idna")],
    [b'--b\r\ncontent-disposition: form-data; name="\xff"; filename="\xff"\r\n\r\n\r\n--b--\r\n'],
)
def test_no_request_is_a_fault(
    method: str, path: str, query: bytes, headers: list[Header], body: list[bytes]
) -> None:
    proxied = Settings(rate_limit=0, trusted_proxies="127.0.0.0/8")
    app = create(proxied, StandIn().transport())
    answer = run(app, method, path, query=query, headers=headers, body=body)
    assert 200 <= answer.status < 500


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.floats()
    | st.integers()
    | _TEXT
    | st.sampled_from(
        [1e30, -1e308, 5e-324, 10**400, math.nan, "=1", 'a"\r\nb', "\N{SNOWMAN}", ""]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=5,
)
NESTED = b"[" * 100_000


@st.composite
def schemas(draw: st.DrawFn) -> Any:
    """Draw the schema of a model, some of whose members are what they should not be."""
    schema = json.loads(json.dumps(draw(st.sampled_from([ROOMS, WINE, GRAPE, ODD]))))
    for _ in range(draw(st.integers(0, 3))):
        node = schema
        while True:
            key = draw(st.sampled_from(list(node)))
            if not (isinstance(node[key], dict) and node[key] and draw(st.booleans())):
                break
            node = node[key]
        if draw(st.booleans()) or key.startswith("x-"):
            node[key] = draw(json_values | st.floats(allow_nan=False))
        else:
            node[draw(_TEXT)] = node.pop(key)
    return schema


def encoded(content: Any) -> bytes:
    return content if isinstance(content, bytes) else json.dumps(content).encode()


statuses = st.sampled_from([200, 200, 200, 200, 400, 404, 413, 503, 204, 302, 500, 999])
answers = st.tuples(
    statuses,
    json_values
    | st.binary(max_size=30)
    | st.builds(lambda value: {"predictions": [value]}, json_values)
    | st.fixed_dictionaries(
        {"error": _TEXT}, optional={"row": json_values, "feature": json_values | st.just("RM")}
    ),
    st.sampled_from(
        [
            {},
            {"retry-after": DIGITS.decode()},
            {"retry-after": "\u00b2"},
            {"retry-after": "-1"},
            {"content-encoding": "gzip"},
            {"location": "http://["},
            {"set-cookie": "a=b; expires=" + "9" * 99},
        ]
    ),
)


def endpoint(answer: Callable[[str], tuple[int, Any, dict[str, str]]]) -> httpx.MockTransport:
    async def respond(request: httpx.Request) -> httpx.Response:
        status, content, said = answer(request.url.path)
        lines = [(name.encode(), value.encode("latin-1")) for name, value in said.items()]
        return httpx.Response(status, headers=lines, stream=httpx.ByteStream(encoded(content)))

    return httpx.MockTransport(respond)


def asked_all_ways(transport: httpx.MockTransport, name: str) -> list[tuple[str, Answer]]:
    app = create(Settings(front=name, timeout_s=0.05, rate_limit=0), transport)
    headers = [HOST, (b"accept", b"text/html")]
    return [
        *(
            (path, run(app, "GET", path, headers=headers))
            for path in (
                *("/", "/about", f"/models/{name}", f"/models/{name}/answer"),
                *(f"/models/{name}/file", f"/models/{name}/example.csv"),
            )
        ),
        ("a file", run(app, "POST", f"/models/{name}/file", headers=headers, body=[b"RM\n6\n"])),
    ]


@_TRIED
@given(answer=answers)
@example((200, {"predictions": [None]}, {}))
@example((200, {"predictions": [[1]]}, {}))
@example((200, b'{"predictions": [NaN]}', {}))
@example((200, b'{"predictions": [1e999]}', {}))
@example((200, {"predictions": [1e30]}, {}))
@example((200, {"predictions": [1.7e308]}, {}))
@example((200, {"predictions": [5e-324]}, {}))
@example((200, {"predictions": [10**400]}, {}))
@example((200, b'{"predictions": ["\\ud800"]}', {}))
@example((200, NESTED, {}))
@example((200, b'{"predictions":' + NESTED, {}))
@example((200, b"[" + b" " * 5_000_000, {}))
@example((503, {}, {"retry-after": DIGITS.decode()}))
@example((503, {}, {"retry-after": "\u00b2"}))
@example((400, {"error": "no", "row": 10**400}, {}))
@example((200, {"predictions": [1]}, {"content-encoding": "gzip"}))
def test_no_prediction_is_a_fault(answer: tuple[int, Any, dict[str, str]]) -> None:
    def told(path: str) -> tuple[int, Any, dict[str, str]]:
        if path.endswith("/schema"):
            return 200, ROOMS, {}
        return answer if path.endswith(":predict") else (200, {"models": ["rooms"]}, {})

    for path, page in asked_all_ways(endpoint(told), "rooms"):
        assert page.status < 500 or page.status in FAULTS_OF_ENDPOINTS, path
        assert "nan" not in page.text, path


@_TRIED
@given(schema=schemas(), value=st.sampled_from([24800.4, 1, 0, -1e30, "red"]))
@example({**ROOMS, "name": 'a"; b\r\nc\N{SNOWMAN}'}, 1)
@example({**ROOMS, "features": {"properties": {}}}, 1)
@example({**ROOMS, "target": {**ROOMS["target"], "x-maximum": 5000.000000000001}}, 1)
@example({**ROOMS, "target": {**ROOMS["target"], "title": ""}}, 1)
@example(
    {
        **ROOMS,
        "target": {"title": "=x", "x-interval": {"coverage": 7, "lower": -1e308, "upper": 1e308}},
    },
    1e308,
)
def test_no_schema_is_a_fault(schema: Any, value: Any) -> None:
    def told(path: str) -> tuple[int, Any, dict[str, str]]:
        if path.endswith("/schema"):
            return 200, schema, {}
        answer = {"predictions": [value]}
        return 200, answer if path.endswith(":predict") else {"models": ["rooms", 'a\r\n"']}, {}

    for path, page in asked_all_ways(endpoint(told), "rooms"):
        assert page.status < 500 or page.status in FAULTS_OF_ENDPOINTS, path


@_TRIED
@given(
    content=json_values | st.builds(lambda names: {"models": names}, json_values), status=statuses
)
@example(b'{"models": ["\\ud800"]}', 200)
@example({"models": ["a\"><'\r\n\N{SNOWMAN}"]}, 200)
@example({"models": [None, 1]}, 200)
def test_no_list_of_models_is_a_fault(content: Any, status: int) -> None:
    def told(path: str) -> tuple[int, Any, dict[str, str]]:
        if path.endswith("/schema"):
            return 200, ROOMS, {}
        answer = {"predictions": [1.5]}
        return (200, answer, {}) if path.endswith(":predict") else (status, content, {})

    for path, page in asked_all_ways(endpoint(told), "rooms"):
        assert page.status == 200, path


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("rooms", 'attachment; filename="rooms.csv"'),
        ('a"; b\r\nc', "attachment; filename*=UTF-8''a%22%3B%20b%0D%0Ac.csv"),
        ("\N{SNOWMAN}/..", "attachment; filename*=UTF-8''%E2%98%83%2F...csv"),
    ],
)
def test_a_file_is_named_by_its_model(name: str, header: str) -> None:
    transport = endpoint(lambda _: (200, {**ROOMS, "name": name}, {}))
    page = run(create(Settings(), transport), path="/models/rooms/example.csv")
    assert page.headers["content-disposition"] == header
