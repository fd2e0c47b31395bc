"""The model server as this application asks it, with repetitions within one time limit."""

import asyncio
import csv
import io
import json
import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
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
from application.model import Model

TRIES = 4
CONNECT_TIMEOUT_S = 2.0
FIRST_PAUSE_S = 0.1

Row = Sequence[float | str]

log = logging.getLogger("application")


@dataclass(frozen=True)
class Predictions:
    """The predictions of some rows, and how often they had to be asked for."""

    values: list[float | str]
    tries: int = 1


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
        response, _ = await self._ask("GET", "/v1/models")
        names = _json(response).get("models")
        if not isinstance(names, list):
            raise Unexpected(f"no list of models: {response.text[:200]}")
        return [str(name) for name in names]

    async def model(self, name: str) -> Model:
        """Return the description of a model.

        Raises
        ------
        EndpointError
        """
        response, _ = await self._ask("GET", f"/v1/models/{quote(name, safe='')}/schema")
        if response.status_code == HTTPStatus.NOT_FOUND:
            raise UnknownModel(name)
        try:
            return Model.model_validate(_json(response))
        except ValidationError as error:
            raise Unexpected(f"no schema of {name!r}: {error}") from error

    async def predict(self, model: Model, rows: Sequence[Row]) -> Predictions:
        """Predict rows, each in the order of the model's features.

        Raises
        ------
        EndpointError
            `Refused` where a row does not fit.
        """
        response, tries = await self._ask(
            "POST",
            f"/v1/models/{quote(model.name, safe='')}:predict",
            content=_csv(model, rows),
            headers={"content-type": "text/csv", "accept": "application/json"},
        )
        if response.status_code == HTTPStatus.BAD_REQUEST:
            raise _refused(response, len(rows))
        if response.status_code == HTTPStatus.NOT_FOUND:
            raise UnknownModel(model.name)
        if response.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            raise TooManyRows
        values = _json(response).get("predictions")
        if not isinstance(values, list) or len(values) != len(rows):
            raise Unexpected(f"no {len(rows)} predictions: {response.text[:200]}")
        return Predictions(values, tries)

    async def _ask(self, method: str, path: str, **request: Any) -> tuple[httpx.Response, int]:
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

    async def _once(self, method: str, path: str, **request: Any) -> httpx.Response:
        try:
            response = await self._client.request(method, path, **request)
        except (httpx.ReadTimeout, httpx.WriteTimeout, httpx.PoolTimeout):
            raise
        except httpx.TransportError as error:
            log.warning("no answer", extra={"path": path, "error": repr(error)})
            raise Unreachable from error
        if response.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
            raise Overloaded(_seconds(response.headers.get("retry-after", "1")))
        return response


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
        timeout=httpx.Timeout(timeout_s, connect=min(CONNECT_TIMEOUT_S, timeout_s)),
        auth=auth,
        transport=transport,
    )


def _pause_s(error: EndpointError, tries: int) -> float:
    wait_s = float(error.retry_after_s or 0) if isinstance(error, Overloaded) else 0.0
    jitter: float = random.random()  # noqa: S311 - it spreads the load and keeps no secret
    return wait_s + FIRST_PAUSE_S * float(2**tries) * jitter


def _seconds(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 1


def _csv(model: Model, rows: Sequence[Row]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(model.features)
    writer.writerows(rows)
    return text.getvalue().encode()


def _refused(response: httpx.Response, n_rows: int) -> Refused:
    try:
        told = _Refusal.model_validate(_json(response, HTTPStatus.BAD_REQUEST))
    except ValidationError as error:
        raise Unexpected(f"no refusal: {error}") from error
    if told.row is not None and not 1 <= told.row <= n_rows:
        raise Unexpected(f"no row {told.row} of {n_rows}: {response.text[:200]}")
    return Refused(told.problem(), told.row, told.feature)


def _json(response: httpx.Response, status: int = HTTPStatus.OK) -> dict[str, Any]:
    if response.status_code != status:
        raise Unexpected(f"status {response.status_code}: {response.text[:200]}")
    try:
        content = json.loads(response.content)
    except ValueError as error:
        raise Unexpected(f"no JSON: {response.text[:200]}") from error
    if not isinstance(content, dict):
        raise Unexpected(f"no object: {response.text[:200]}")
    return content
