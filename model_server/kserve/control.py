"""What loads and unloads models at a request: in every process that serves them."""

import asyncio

from model_server.fleet.siblings import Fleet
from model_server.kserve.repository import Repository

_LOAD, _UNLOAD = "load", "unload"


class Control:
    """Loads and unloads models.

    Parameters
    ----------
    repository : Repository
        That of this process.
    fleet : Fleet
        All of them.
    """

    def __init__(self, repository: Repository, fleet: Fleet) -> None:
        self._repository = repository
        self._fleet = fleet
        self._one_by_one = asyncio.Lock()
        fleet.doing[_LOAD] = self._load
        fleet.doing[_UNLOAD] = self._unload

    async def load(self, name: str) -> None:
        """Load a model once more from its directory; see `Repository.load`."""
        await self._fleet.ask_all(_LOAD, name)

    async def unload(self, name: str) -> None:
        """Serve a model no more; see `Repository.unload`."""
        await self._fleet.ask_all(_UNLOAD, name)

    async def _load(self, name: str) -> None:
        async with self._one_by_one:
            await self._repository.load(name)

    async def _unload(self, name: str) -> None:
        async with self._one_by_one:  # or a load that is still reading would bring it back
            self._repository.unload(name)


def keep_up(repository: Repository, what: str, name: str) -> None:
    """Do at once, in a process that does not serve, what all the others are asked.

    Raises
    ------
    RequestError
    """
    if what == _LOAD:
        repository.load_at_once(name)
    elif what == _UNLOAD:
        repository.unload(name)
