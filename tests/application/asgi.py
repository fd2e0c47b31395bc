"""A request straight to an application, whatever its bytes; what it raises is raised."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp

Message = dict[str, Any]
Header = tuple[bytes, bytes]


@dataclass
class Answer:
    """What was answered."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    parts: list[bytes] = field(default_factory=list)

    @property
    def content(self) -> bytes:
        return b"".join(self.parts)

    @property
    def text(self) -> str:
        return self.content.decode()


def scope(
    method: str, path: str, query: bytes, headers: Sequence[Header], client: str = "127.0.0.1"
) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query,
        "root_path": "",
        "headers": list(headers),
        "client": (client, 1),
        "server": ("127.0.0.1", 8000),
    }


async def ask(
    app: ASGIApp,
    method: str = "GET",
    path: str = "/",
    *,
    query: bytes = b"",
    headers: Sequence[Header] = ((b"host", b"application.test"),),
    body: Iterable[bytes] = (),
    client: str = "127.0.0.1",
) -> Answer:
    """Ask, and take the answer whole."""
    parts = [*body, b""]
    rest: list[Message] = [
        {"type": "http.request", "body": part, "more_body": more}
        for part, more in zip(parts, [*[True] * (len(parts) - 1), False], strict=True)
    ]

    async def receive() -> Message:
        return rest.pop(0) if rest else await asyncio.Future()  # the client stays

    answer = Answer()
    await app(scope(method, path, query, headers, client), receive, taken_by(answer))
    return answer


def taken_by(answer: Answer) -> Callable[[Any], Awaitable[None]]:
    """Return what takes an answer, as a server writes it."""

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            for name, value in message["headers"]:
                assert not set(b"\r\n\0") & set(name + value), message
                answer.headers[name.decode("latin-1")] = value.decode("latin-1")
        else:
            answer.parts.append(message.get("body", b""))

    return send
