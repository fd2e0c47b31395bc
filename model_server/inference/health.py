"""Whether the server is alive and ready, by golden rows that are predicted in the background.

A model that is busy is alive, for as long as its requests may take. One is broken if its golden
rows come out wrong, or if its predictions do not return any more.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping

from model_server.errors import ModelDirectoryError, Overloaded
from model_server.inference.served import Served
from model_server.metrics import MODEL_BROKEN

log = logging.getLogger("model_server")


class Health:
    """What the probes are told.

    Attributes
    ----------
    stopping : bool
        The server was told to stop: it is not ready any more, but still answers.
    broken : set of str
        Models that failed their golden rows when they were last looked at. Such a model is not
        ready, and the server not alive.
    """

    def __init__(self) -> None:
        self.stopping = False
        self.broken: set[str] = set()

    @property
    def alive(self) -> bool:
        """Whether a restart would not help: no model fails its golden rows."""
        return not self.broken

    def ready(self, models: Iterable[Served]) -> bool:
        """Tell whether new requests should come: some model can answer, and no stop is near."""
        return not self.stopping and any(model.ready for model in models)

    async def watch(self, models: Mapping[str, Served], interval_s: float) -> None:
        """Look at every model, for ever; none waits for another."""
        looks: dict[str, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as tasks:
            while True:
                await asyncio.sleep(interval_s)
                self._look_at_all(models, looks, tasks)

    def _look_at_all(
        self,
        models: Mapping[str, Served],
        looks: dict[str, asyncio.Task[None]],
        tasks: asyncio.TaskGroup,
    ) -> None:
        """Begin a look at each model that is not looked at; once they end nothing keeps a model."""
        self.broken.intersection_update(models)
        for name in [name for name, look in looks.items() if look.done()]:
            del looks[name]
        for name, model in models.items():
            if model.stuck:
                self._tell(model, f"{name}: its predictions do not return")
            if name not in looks:
                looks[name] = tasks.create_task(self._look(model))

    async def _look(self, model: Served) -> None:
        try:
            await model.check()
        except ModelDirectoryError as error:
            self._tell(model, str(error))
        except Overloaded:  # it is busy: what was last seen stands
            return
        else:
            self._tell(model, None)

    def _tell(self, model: Served, problem: str | None) -> None:
        was_broken = model.name in self.broken
        if problem is not None and not was_broken:
            log.critical(problem)
            self.broken.add(model.name)
        elif problem is None and was_broken:
            log.info("sound again", extra={"model": model.name})
            self.broken.remove(model.name)
        model.ready = problem is None
        MODEL_BROKEN.labels(model.name).set(problem is not None)
