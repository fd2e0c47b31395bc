"""The models of a SageMaker multi-model endpoint: loaded and unloaded as the platform asks.

Each is kept under the name that the platform chose for it, whatever its manifest says.
"""

import asyncio
from pathlib import Path
from time import monotonic
from typing import Annotated

from pydantic import BaseModel, Field

from model_server.errors import (
    AlreadyLoaded,
    BadRequest,
    MemoryShort,
    ModelDirectoryError,
    ModelNotFound,
)
from model_server.kserve.predictor import Predictor
from model_server.kserve.repository import Repository
from model_server.memory import Memory
from model_server.model import directory as model_directory
from model_server.model.manifest import Name

_ENDING_S, _LOOK_S = 10.0, 0.05
"""How long the processes of an unloaded model may take to end, and how often that is looked at."""

_PATH_LIMIT = 4095
"""The longest path of Linux."""


class Load(BaseModel):
    """What the platform asks to load: a directory, and the name that it is to have."""

    model_name: Name
    url: Annotated[str, Field(pattern=r"^[^\x00]+$", max_length=_PATH_LIMIT)]


class Hosted(BaseModel):
    """A model that is loaded, and the directory that it came from."""

    modelName: str  # noqa: N815 - the platform's names
    modelUrl: str  # noqa: N815


class Page(BaseModel):
    """Some of the models, and what to ask the rest with."""

    models: list[Hosted]
    nextPageToken: str | None = None  # noqa: N815


class Hosting:
    """What is loaded.

    Parameters
    ----------
    repository : Repository
    root : Path
        Models are only loaded from below it.
    memory : Memory
    """

    def __init__(self, repository: Repository, root: Path, memory: Memory) -> None:
        self._repository = repository
        self._root = root
        self._memory = memory
        self._hosted: dict[str, Hosted] = {}
        self._loading = asyncio.Lock()
        self._unloaded_s = float("-inf")

    async def load(self, asked: Load) -> Hosted:
        """Load a model; one after the other, so that each sees the memory that the last one took.

        Raises
        ------
        AlreadyLoaded
        BadRequest
            If the directory, or what it links to, is not below the root, or it can't be served.
        MemoryShort
        """
        async with self._loading:
            if asked.model_name in self._hosted:
                raise AlreadyLoaded(f"model {asked.model_name!r} is loaded already")
            try:
                directory = self._directory(asked.url)
                size_bytes = _size_bytes(directory)
            except (OSError, RuntimeError) as error:  # the latter for links that go round
                raise BadRequest(f"url {asked.url!r} can't be read ({error})") from error
            await self._see_room(size_bytes)
            try:
                model = await asyncio.to_thread(self._repository.read, directory, asked.model_name)
            except ModelDirectoryError as error:
                if isinstance(error.__cause__, MemoryError):
                    raise MemoryShort("there is no memory for the model") from error
                raise BadRequest(str(error)) from error
            try:
                await asyncio.to_thread(self._memory.check)
            except MemoryShort:
                del model
                self._memory.release()
                raise
            self._repository.update(Predictor(model))
            hosted = Hosted(modelName=asked.model_name, modelUrl=asked.url)
            self._hosted[asked.model_name] = hosted
            return hosted

    async def _see_room(self, size_bytes: int) -> None:
        """Check the memory; the processes of what was just unloaded take a moment to end.

        Raises
        ------
        MemoryShort
        """
        deadline_s = self._unloaded_s + _ENDING_S
        while True:
            try:
                await asyncio.to_thread(self._memory.check, size_bytes)
            except MemoryShort:
                if monotonic() > deadline_s:
                    raise
                await asyncio.sleep(_LOOK_S)
            else:
                return

    def unload(self, name: str) -> Hosted:
        """Forget a model; requests in flight are still answered by it.

        Raises
        ------
        ModelNotFound
        """
        hosted = self.get(name)
        self._repository.unload(name)
        del self._hosted[name]
        self._unloaded_s = monotonic()
        self._memory.release()
        return hosted

    def get(self, name: str) -> Hosted:
        """Return a model that is loaded.

        Raises
        ------
        ModelNotFound
        """
        if name not in self._hosted:
            raise ModelNotFound(f"model {name!r} is not loaded")
        return self._hosted[name]

    def page(self, token: str, limit: int) -> Page:
        """Return the models in the order of their names, from that of the token on."""
        names = sorted(name for name in self._hosted if name >= token)
        beyond = names[limit : limit + 1]
        return Page(
            models=[self._hosted[name] for name in names[:limit]],
            nextPageToken=beyond[0] if beyond else None,
        )

    def _directory(self, url: str) -> Path:
        """Return the one model directory at, or just below, a place that the platform names."""
        place, root = Path(url).resolve(), self._root.resolve()
        if not place.is_relative_to(root):
            raise BadRequest(f"url {url!r} is not below {self._root}, where models are mounted")
        try:
            found = model_directory.find(place)
        except ModelDirectoryError as error:
            raise BadRequest(str(error)) from error
        if len(found) > 1:
            raise BadRequest(f"{place}: holds {len(found)} models; one is loaded at a time")
        [directory] = found
        for path in (directory, *directory.iterdir()):
            if not path.resolve().is_relative_to(root):
                raise BadRequest(f"{str(path)!r} is a link out of {self._root}")
        return directory


def _size_bytes(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.glob("model.*"))
