"""The model server as this application asks it, with repetitions within one time limit."""

import asyncio
import csv
import io
import logging
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ValidationError

from application.errors import (
    EndpointError,
    Overloaded,
    Refused,
    Slow,
    TooManyRows,
    Unexpected,
    UnknownModel,
    Unreachable,
)
from application.model import Model, Number, Whole

ANSWER_LIMIT_BYTES = 4 * 1024**2
NAME_LENGTH_LIMIT = 200
TRIES = 4
CONNECT_TIMEOUT_S = 2.0
FIRST_PAUSE_S = 0.1

Row = Sequence[float | str]

log = logging.getLogger("application")


Told = TypeVar("Told", bound=BaseModel)


@dataclass(frozen=True)
class Predictions:
    """The predictions of some rows, and how often they had to be asked for."""

    values: list[float | str]
    tries: int = 1


@dataclass(frozen=True)
class _Answer:
    status: int
    retry_after: str
    content: bytes

    def read(self, kind: type[Told], status: int = HTTPStatus.OK) -> Told:
        """Read what is told where the status is as it should be.

        Raises
        ------
        Unexpected
        """
        if self.status != status:
            raise self.unexpected(f"status {self.status}")
        try:
            return kind.model_validate_json(self.content)
        except ValidationError as error:
            raise self.unexpected(error.errors(include_url=False)[0]["msg"]) from None

    def unexpected(self, why: str) -> Unexpected:
        """Return the error, with how the answer begins."""
        return Unexpected(f"{why}: {self.content[:200]!r}")


class _Names(BaseModel):
    models: list[str]


class _Values(BaseModel):
    predictions: list[Whole | Number | str]


class _Refusal(BaseModel):
    """What the server answers to rows that do not fit."""

    error: str
    row: int | None = None
    feature: str | None = None

    def problem(self) -> str:
        """Return the text without the row and the feature that it begins with."""
        for place in (f"row {self.row}, feature {self.feature!r}: ", f"row {self.row}: "):
            if self.error.startswith(place):
                return self.error.removeprefix(place)
        return self.error


class Endpoint:
    """A model server's v1 routes.

    Parameters
    ----------
    client : httpx.AsyncClient
        With the endpoint's address as its base.
    timeout_s : float
        How long an answer may take, with its repetitions.
    """

    def __init__(self, client: httpx.AsyncClient, timeout_s: float) -> None:
        self._client = client
        self._timeout_s = timeout_s

    async def names(self) -> list[str]:
        """Return the names of the models.

        Raises
        ------
        EndpointError
        """
        answer, _ = await self._ask("GET", "/v1/models")
        return answer.read(_Names).models

    async def model(self, name: str) -> Model:
        """Return the description of a model.

        Raises
        ------
        EndpointError
        """
        if name in {".", ".."} or len(name) > NAME_LENGTH_LIMIT:
            raise UnknownModel(name)
        answer, _ = await self._ask("GET", f"/v1/models/{quote(name, safe='')}/schema")
        if answer.status == HTTPStatus.NOT_FOUND:
            raise UnknownModel(name)
        return answer.read(Model)

    async def predict(self, model: Model, rows: Sequence[Row]) -> Predictions:
        """Predict rows, each in the order of the model's features.

        Raises
        ------
        EndpointError
            `Refused` where a row does not fit.
        """
        answer, tries = await self._ask(
            "POST",
            f"/v1/models/{quote(model.name, safe='')}:predict",
            content=_csv(model, rows),
            headers={"content-type": "text/csv", "accept": "application/json"},
        )
        if answer.status == HTTPStatus.BAD_REQUEST:
            raise _refused(answer, len(rows))
        if answer.status == HTTPStatus.NOT_FOUND:
            raise UnknownModel(model.name)
        if answer.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            raise TooManyRows
        values = answer.read(_Values).predictions
        if len(values) != len(rows):
            raise answer.unexpected(f"no {len(rows)} predictions")
        return Predictions(values, tries)

    async def _ask(self, method: str, path: str, **request: Any) -> tuple[_Answer, int]:
        """Ask, and again after a pause where it is worth it; return the answer and the tries."""
        try:
            async with asyncio.timeout(self._timeout_s) as limit:
                for tries in range(1, TRIES):
                    try:
                        return await self._once(method, path, **request), tries
                    except (Overloaded, Unreachable) as error:
                        pause_s = _pause_s(error, tries)
                        now_s = asyncio.get_running_loop().time()
                        if now_s + pause_s > (limit.when() or now_s):
                            raise
                        log.info("asking again", extra={"path": path, "pause_s": pause_s})
                        await asyncio.sleep(pause_s)
                return await self._once(method, path, **request), TRIES
        except (TimeoutError, httpx.TimeoutException):
            raise Slow(self._timeout_s) from None

    async def _once(self, method: str, path: str, **request: Any) -> _Answer:
        try:
            async with self._client.stream(method, path, **request) as response:
                answer = await _whole(response)
        except (httpx.ReadTimeout, httpx.WriteTimeout, httpx.PoolTimeout):
            raise
        except httpx.TransportError as error:
            log.warning("no answer", extra={"path": path, "error": repr(error)})
            raise Unreachable from error
        if answer.status == HTTPStatus.SERVICE_UNAVAILABLE:
            raise Overloaded(_seconds(answer.retry_after))
        return answer


def connect(
    address: str,
    timeout_s: float,
    *,
    auth: httpx.Auth | None = None,
    transport: httpx.AsyncBaseTransport,
) -> httpx.AsyncClient:
    """Return a client for `Endpoint` that keeps its connections."""
    return httpx.AsyncClient(
        base_url=address,
        headers={"accept-encoding": "identity"},  # nothing grows as it is unpacked
        timeout=httpx.Timeout(timeout_s, connect=min(CONNECT_TIMEOUT_S, timeout_s)),
        auth=auth,
        transport=transport,
    )


def _pause_s(error: EndpointError, tries: int) -> float:
    wait_s = float(error.retry_after_s or 0) if isinstance(error, Overloaded) else 0.0
    jitter: float = random.random()  # noqa: S311 - it spreads the load and keeps no secret
    return wait_s + FIRST_PAUSE_S * float(2**tries) * jitter


def _seconds(text: str) -> int:
    return int(text) if re.fullmatch("[0-9]{1,5}", text) else 1


def _csv(model: Model, rows: Sequence[Row]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(model.features)
    writer.writerows(rows)
    return text.getvalue().encode()


def _refused(answer: _Answer, n_rows: int) -> Refused:
    told = answer.read(_Refusal, HTTPStatus.BAD_REQUEST)
    if told.row is not None and not 1 <= told.row <= n_rows:
        raise answer.unexpected(f"no row {told.row} of {n_rows}")
    return Refused(told.problem(), told.row, told.feature)


async def _whole(response: httpx.Response) -> _Answer:
    content = bytearray()
    async for part in response.aiter_raw():
        content += part
        if len(content) > ANSWER_LIMIT_BYTES:
            raise Unexpected(f"more than {ANSWER_LIMIT_BYTES} bytes: {bytes(content[:200])!r}")
    return _Answer(response.status_code, response.headers.get("retry-after", ""), bytes(content))
