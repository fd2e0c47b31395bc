"""From bytes to requests that begin with their heads, and whose bodies are taken as they come."""

from collections import deque
from dataclasses import dataclass, field

from typing_extensions import override

from model_server.http.request_parser import Asked, RequestParser


@dataclass(slots=True)
class Begun(Asked):
    """A request whose head is in.

    Attributes
    ----------
    parts : deque of bytes
        What has come in of its body and is not taken.
    whole : bool
        Whether nothing more comes.
    answered : bool
        Whether what still comes is thrown away.
    """

    parts: deque[bytes] = field(default_factory=deque)
    whole: bool = False
    answered: bool = False


class StreamedRequestParser(RequestParser):
    """Reads the requests of one connection; how long a body may be is the handler's to say.

    One that is refused by its head is read to its end before that is told, as by `RequestParser`.
    """

    @override
    def on_headers_complete(self) -> None:
        """Have a request whose head is sound."""
        resumes = self._resuming
        super().on_headers_complete()
        asked = self._asked
        if not resumes and asked.refusal is None:
            self._asked = Begun(asked.request, asked.keep_alive)
            self.requests.append(self._asked)

    @override
    def on_body(self, data: bytes) -> None:
        """Keep some of the body until it is taken."""
        asked = self._asked
        if not isinstance(asked, Begun):
            super().on_body(data)
        elif not asked.answered:
            asked.parts.append(data)

    @override
    def on_message_complete(self) -> None:
        """Note that a body is whole."""
        asked = self._asked
        if not isinstance(asked, Begun):
            super().on_message_complete()
        elif not self._declined and self.last_words is None:
            asked.whole = True
            self._begin_anew()

    @override
    def _check_length(self, length_bytes: int) -> None:
        pass
