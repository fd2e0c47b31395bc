"""What the endpoint serves, remembered for a while, and for longer while it can't be asked."""

import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from application.endpoint import Endpoint
from application.errors import EndpointError, UnknownModel
from application.model import Model

LIFETIME_S = 30.0

Value = TypeVar("Value")


class Catalogue:
    """The models of an endpoint.

    Every replica remembers for itself: what is forgotten is asked for again.

    Parameters
    ----------
    endpoint : Endpoint
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._names = _Remembered(endpoint.names)
        self._models: dict[str, _Remembered[Model]] = {}

    async def names(self) -> list[str]:
        """Return the names of the models; none where they are not known."""
        try:
            return await self._names.get()
        except EndpointError:
            return []

    def known_names(self) -> list[str]:
        """Return the names as they are remembered, however old, without asking."""
        return self._names.value or []

    async def models(self) -> list[Model]:
        """Return the models that can be described."""
        described = []
        for name in await self.names():
            with contextlib.suppress(EndpointError):
                described.append(await self.model(name))
        return described

    async def model(self, name: str) -> Model:
        """Return a model.

        Raises
        ------
        EndpointError
            If it is not known and the endpoint does not tell.
        """
        known = self._models.get(name) or _Remembered(lambda: self._endpoint.model(name))
        try:
            model = await known.get()
        except UnknownModel:
            self._models.pop(name, None)
            raise
        self._models[name] = known
        return model


class _Remembered(Generic[Value]):
    def __init__(self, ask: Callable[[], Awaitable[Value]]) -> None:
        self._ask = ask
        self.value: Value | None = None
        self._until_s = 0.0

    async def get(self) -> Value:
        if self.value is not None and time.monotonic() < self._until_s:
            return self.value
        try:
            self.value = await self._ask()
        except UnknownModel:
            raise
        except EndpointError:
            if self.value is None:
                raise
        self._until_s = time.monotonic() + LIFETIME_S
        return self.value
