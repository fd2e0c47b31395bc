"""A connection whose requests are worked on while they come in, and answered piece by piece.

The handler asks for the next of a body and writes the next of an answer: see
`model_server.http.messages.Stream`. While it waits for the client, the connection is in the state
BODY or UNREAD, and the client is waited for as in any connection: no longer than the limits say,
and not where its place is needed. What a handler has not read of a body is thrown away after its
answer.
"""

import asyncio
from typing import cast

from typing_extensions import override

from model_server.errors import BadRequest, RequestError
from model_server.http.connection import Connection
from model_server.http.messages import Response
from model_server.http.request_parser import Asked
from model_server.http.response_writer import CLOSE
from model_server.http.service import Service
from model_server.http.state import ENDS, State
from model_server.http.streamed_parser import Begun, StreamedRequestParser


class StreamedConnection(Connection):
    """An HTTP/1.1 connection within its limits, and the stream of its requests.

    Parameters
    ----------
    service : Service
    """

    _parses = StreamedRequestParser

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        self._current = cast("Begun", None)
        self._begun: Response | None = None
        self._keeps_begun = False
        self._worked_s = self.since_s
        self._moved = asyncio.Event()

    # What a handler asks: see Stream.

    async def read(self) -> bytes:
        """Return the next of the body; nothing at its end.

        Raises
        ------
        RequestError
            If it can't be read to its end.
        """
        current = self._current
        while not (current.parts or current.whole):
            if self._parser.last_words is not None:
                raise self._parser.last_words
            if self._at < len(self._ahead):
                self._at = self._parser.feed(self._ahead, self._at)
            elif self._ended:
                raise BadRequest("the request ends before its body does")
            else:
                self._ahead, self._at = b"", 0
                self._hold_back()
                if self._parser.expects:
                    self._tell_to_send()
                await self._wait_for_client(State.BODY)
        return current.parts.popleft() if current.parts else b""

    async def begin(self, response: Response) -> None:
        """Send the head of a response."""
        request = self._current.request
        chunked = request.version == "1.1"
        self._begun = response
        self._keeps_begun = chunked and self._keeps(self._current, response)
        framing = b"transfer-encoding: chunked\r\n" if chunked else b""
        self._writer.tell(request, response)
        framing += b"" if self._keeps_begun else CLOSE
        self._transport.write(response.head(self._roster.date, framing))

    async def write(self, part: bytes) -> None:
        """Send the next of the response's body, and wait until the client reads."""
        request = self._current.request
        if part and request.method != "HEAD":
            chunked = request.version == "1.1"
            self._transport.write(b"%x\r\n%s\r\n" % (len(part), part) if chunked else part)
        if self._writer.unread:
            await self._wait_for_client(State.UNREAD)

    # What asyncio tells.

    @override
    def eof_received(self) -> bool:
        """Answer a client that sends no more what it has asked."""
        if self.secure or not self._handling.busy:
            return super().eof_received()
        self._ended = True
        self._moved.set()
        return True

    @override
    def resume_writing(self) -> None:
        """Go on."""
        if self._handling.busy:
            self._writer.resume()
            self._moved.set()
        else:
            super().resume_writing()

    # What the roster asks.

    @override
    def evict(self, reason: str) -> None:
        """Let the client go, and say why where it has begun a request and no answer."""
        if self._spoken:
            self._abort()
        else:
            super().evict(reason)

    # From bytes to answers.

    @property
    def _spoken(self) -> bool:
        """Whether an answer is out, or begun, to the request that still comes in."""
        current = self._current
        if current is None or current.whole:
            return False
        return current.answered or self._begun is not None

    async def _wait_for_client(self, state: State) -> None:
        """Wait; of the time for a request, what the handler worked does not count.

        Raises
        ------
        BadRequest
            If the client is gone, and the handler's cancellation has not reached it yet.
        """
        if self.state in ENDS:
            raise BadRequest("the client is gone")
        self.state = state
        self._writer.moved_s = self._roster.now_s
        self.since_s += self._roster.now_s - self._worked_s
        self._roster.waits(self)
        self._moved.clear()
        try:
            await self._moved.wait()
        finally:
            self._worked_s = self._roster.now_s
            if self.state is state:
                self.state = State.WORKING
                self._roster.works(self)

    @override
    def _go_on(self) -> None:
        if self._handling.busy:
            self._hold_back()
            self._moved.set()
        else:
            super()._go_on()

    @override
    def _begin(self, asked: Asked) -> None:
        if isinstance(asked, Begun):
            self._current = asked
            asked.request.stream = self
            self._worked_s = self._roster.now_s
        super()._begin(asked)

    @override
    def _answer(self, asked: Asked, response: Response) -> None:
        if isinstance(asked, Begun):
            asked.answered = True
            asked.parts.clear()
        begun, self._begun = self._begun, None
        if begun is None:
            super()._answer(asked, response)
        elif begun is not response:  # it can't be told any more
            self._end()
            self._transport.abort()
        elif self.state not in ENDS:
            if asked.request.version == "1.1" and asked.request.method != "HEAD":
                self._transport.write(b"0\r\n\r\n")
            self._finish_answer(keeps=self._keeps_begun)

    @override
    def _refuse(self, error: RequestError) -> None:
        if self._spoken:
            self._linger()
        else:
            super()._refuse(error)
