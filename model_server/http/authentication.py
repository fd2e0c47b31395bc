"""Bearer tokens, for a server that has no gateway in front of it."""

import codecs
import hmac
import logging
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from model_server.errors import ModelServerError, Unauthorized
from model_server.http.cross_origin import is_preflight
from model_server.http.file_watch import FileWatch
from model_server.http.messages import Request
from model_server.metrics import REJECTED

log = logging.getLogger("model_server")

_TOKEN = re.compile(rb"[!-~]+")
"""What a header's value may hold; RFC 6750 has fewer characters."""


class Tokens:
    """The tokens in a file, one a line; any of them lets a request in.

    A line that is empty or begins with ``#`` is none. Two tokens let clients change from one to the
    next. The file is read again when it has changed; while it can't be read, holds none or a line
    that is no token, the tokens stay as they were.

    Parameters
    ----------
    path : Path

    Raises
    ------
    ModelServerError
        If there is no token in it, or something else.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._watched = FileWatch(path)
        self._tokens = self._read()

    def check(self, authorizations: Sequence[bytes]) -> None:
        """See that there is one ``Authorization`` header, and that it holds one of the tokens.

        A second might be meant for who stands before this server, or for who passed it by.

        Raises
        ------
        Unauthorized
        """
        if self._watched.changed():
            self._reread()
        authorization = authorizations[0] if len(authorizations) == 1 else b""
        scheme, _, given = authorization.partition(b" ")
        known = [hmac.compare_digest(given.strip(), token) for token in self._tokens]
        if scheme.lower() != b"bearer" or not any(known):
            REJECTED.labels("token").inc()
            raise Unauthorized("a bearer token is needed: Authorization: Bearer <token>")

    def _reread(self) -> None:
        try:
            self._tokens = self._read()
        except ModelServerError as error:
            self._watched.failed(error)
        else:
            self._watched.used()
            log.info("tokens read again", extra={"tokens": len(self._tokens)})

    def _read(self) -> list[bytes]:
        try:
            lines = self._path.read_bytes().removeprefix(codecs.BOM_UTF8).splitlines()
        except OSError as error:
            raise ModelServerError(
                f"{self._path}: can't be read ({error.strerror}); set --token-file to a file with "
                f"a token a line"
            ) from error
        tokens = []
        for number, line in enumerate(map(bytes.strip, lines), start=1):
            if not line or line.startswith(b"#"):
                continue
            if not _TOKEN.fullmatch(line):
                raise ModelServerError(
                    f"{self._path}: line {number} is no token; write one a line, of ASCII without "
                    f"blanks, and a comment in a line that begins with #"
                )
            tokens.append(line)
        if not tokens:
            raise ModelServerError(f"{self._path}: holds no token; write one a line into it")
        return tokens


class Authentication:
    """Lets requests with a token in, and those of some paths without one.

    Parameters
    ----------
    tokens : Tokens
    open_paths : iterable of str
    preflights : bool
        Whether browsers may ask what pages may send, which they do without a token.
    """

    def __init__(self, tokens: Tokens, open_paths: Iterable[str], *, preflights: bool) -> None:
        self._tokens = tokens
        self._open_paths = frozenset(open_paths)
        self._preflights = preflights

    def check(self, request: Request) -> None:
        """See that a request may come in.

        Raises
        ------
        Unauthorized
        """
        if request.path in self._open_paths or (self._preflights and is_preflight(request)):
            return
        given = [value for name, value in request.headers if name == b"authorization"]
        self._tokens.check(given)
