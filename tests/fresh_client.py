"""A client that opens one connection after the other while a server stops."""

import http.client
import threading


class FreshClient(threading.Thread):
    """Asks for a page on a connection of its own, again and again, until one is refused or fails.

    Attributes
    ----------
    answered : int
        How often it got the page.
    ended : type of Exception or None
        What it was stopped by.
    """

    def __init__(self, port: int, path: str = "/") -> None:
        super().__init__(daemon=True)
        self._port = port
        self._path = path
        self.answered = 0
        self.ended: type[Exception] | None = None

    def run(self) -> None:
        while self.ended is None:
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
            try:
                connection.request("GET", self._path, headers={"connection": "close"})
                answer = connection.getresponse()
                answer.read()
                assert answer.status == 200
                self.answered += 1
            except (OSError, http.client.HTTPException) as error:
                self.ended = type(error)
            finally:
                connection.close()
