"""A second opinion on what a server writes: h11 reads it as a client does."""

from collections.abc import Iterator
from typing import NamedTuple

import h11


class Answer(NamedTuple):
    """An answer, or an interim one."""

    status: int
    body: bytes
    closes: bool

    @property
    def interim(self) -> bool:
        return self.status < 200


class Judge:
    """Reads the answers of one connection; raises `h11.RemoteProtocolError` where it can't."""

    def __init__(self) -> None:
        self._client = h11.Connection(h11.CLIENT)
        self._method = ""
        self._begun: Answer | None = None

    def feed(self, data: bytes) -> None:
        """Take what was written."""
        self._client.receive_data(data)

    def next(self, method: str) -> Answer | None:
        """Return the next answer, to a request of that method; None where none is whole."""
        if not self._method:
            if not self.unread:
                return None
            self._ask(method)
        for event in self._events():
            if isinstance(event, h11.InformationalResponse):
                return Answer(event.status_code, b"", closes=False)
            if isinstance(event, h11.Response):
                closes = (b"connection", b"close") in list(event.headers)
                self._begun = Answer(event.status_code, b"", closes)
            elif isinstance(event, h11.Data) and self._begun is not None:
                self._begun = self._begun._replace(body=self._begun.body + event.data)
            elif isinstance(event, h11.EndOfMessage) and self._begun is not None:
                answer, self._begun, self._method = self._begun, None, ""
                if not answer.closes:
                    self._client.start_next_cycle()
                return answer
        return None

    @property
    def in_pieces(self) -> bool:
        """Whether an answer has begun of which more is to come."""
        return self._begun is not None

    @property
    def unread(self) -> bytes:
        """What is left that is no answer yet."""
        return self._client.trailing_data[0]

    def _ask(self, method: str) -> None:
        self._method = method
        request = h11.Request(method=method, target=b"/", headers=[(b"host", b"x")])
        self._client.send(request)
        self._client.send(h11.EndOfMessage())

    def _events(self) -> Iterator[h11.Event]:
        while True:
            event = self._client.next_event()
            if event in (h11.NEED_DATA, h11.PAUSED):
                return
            assert isinstance(event, h11.Event)
            yield event
