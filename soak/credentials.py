"""Credentials: words that are no tokens open nothing, and pairs that do not fit are never shown."""

import random
import re
import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx

from harness.certificates import Authority
from harness.ports import HOST
from harness.processes import ServerProcess, until
from soak.scenario import Outcome, some

_TOKENS = ("s3cr3t-of-one", "s3cr3t-of-two")
_FILE = f"""# the tokens of all who may ask
{_TOKENS[0]}

# one of them may be a word of a comment: nobody
{_TOKENS[1]}
"""
_WORDS = sorted(set(re.findall(r"\S+", _FILE)) - set(_TOKENS))
_ODD = ("Bearer", "\xe9", "x" * 5000, f"{_TOKENS[0]} {_TOKENS[1]}", _TOKENS[0][:-1])
_PREDICT = "/v1/models/rooms:predict"


def run(
    models: Path, folder: Path, *, requests: int = 20_000, pairs: int = 30, seed: int = 10
) -> Outcome:
    """Try words of the token file, and change certificate and key under requests.

    Parameters
    ----------
    models : Path
        Trained model directories, ``rooms`` among them.
    folder : Path
        For the token file, certificates and the servers' logs.
    requests : int
        With a word that is no token, each.
    pairs : int
        That do not fit, one after the other.
    seed : int
    """
    wrong = [*_try_words(models, folder, requests, random.Random(seed))]
    wrong += _change_pairs(models, folder, pairs)
    return Outcome(
        asked="only a line of the token file is a token; a certificate that does not fit its key "
        "is told and not shown, and the pair before goes on",
        seen=f"{requests:,} requests with words of the file's comments and the like, {pairs} pairs "
        f"that do not fit: {some(wrong)} wrong",
        held=not wrong,
    )


def _try_words(models: Path, folder: Path, requests: int, rng: random.Random) -> Iterator[str]:
    file = folder / "tokens"
    file.write_text(_FILE)
    flags = (f"--token-file={file}", "--no-grpc")
    with ServerProcess(models, *flags, log=folder / "tokens.log") as server:
        for _ in range(requests):
            word = rng.choice((*_WORDS, *_ODD))
            status = _status(server, word)
            if status not in (httpx.codes.UNAUTHORIZED, httpx.codes.BAD_REQUEST):
                yield f"{word!r:.50} has status {status}"
        for token in _TOKENS:
            if _status(server, token) != httpx.codes.OK:
                yield "a token does not open"


def _status(server: ServerProcess, word: str) -> int:
    headers = {b"authorization": b"Bearer " + word.encode("latin-1")}
    return server.client.post(_PREDICT, json={"instances": [[6.5]]}, headers=headers).status_code


def _change_pairs(models: Path, folder: Path, pairs: int) -> Iterator[str]:
    signing = Authority(folder)
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    signing.sign(certificate, key)
    flags = (f"--ssl-certfile={certificate}", f"--ssl-keyfile={key}", "--no-grpc")
    with ServerProcess(models, *flags, log=folder / "tls.log", authority=signing.path) as server:
        shown = ssl.get_server_certificate((HOST, server.http_port))
        for number in range(1, pairs + 1):
            signing.sign(certificate, folder / "another.pem")
            until("the pair is told", lambda count=number: _told(server) >= count)  # type: ignore[misc]
            if ssl.get_server_certificate((HOST, server.http_port)) != shown:
                yield f"pair {number} is shown"
            answer = httpx.get(
                f"{server.url}/v1/models", verify=ssl.create_default_context(cafile=signing.path)
            )
            if answer.status_code != httpx.codes.OK:
                yield f"beside pair {number}: status {answer.status_code}"
        key.write_bytes((folder / "another.pem").read_bytes())
        until(
            "the last pair, which fits, is shown",
            lambda: ssl.get_server_certificate((HOST, server.http_port)) != shown,
        )


def _told(server: ServerProcess) -> int:
    return server.log.read_text(encoding="utf-8").count("are no certificate and its key")
