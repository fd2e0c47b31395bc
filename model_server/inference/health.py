"""Whether the server is alive and ready, by golden rows that are predicted in the background."""

import asyncio
import logging
from collections.abc import Iterable, Mapping

from model_server.errors import ModelDirectoryError
from model_server.inference.served import Served
from model_server.metrics import MODEL_BROKEN

log = logging.getLogger("model_server")

_ANSWER_TIMEOUT_S = 60.0


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
        """Look at every model, for ever."""
        while True:
            await asyncio.sleep(interval_s)
            self.broken.intersection_update(models)
            for model in list(models.values()):
                await self._look(model)

    async def _look(self, model: Served) -> None:
        try:
            async with asyncio.timeout(_ANSWER_TIMEOUT_S):
                await model.check()
        except ModelDirectoryError as error:
            self._tell(model, str(error))
        except TimeoutError:
            self._tell(model, f"{model.name}: no golden row in {_ANSWER_TIMEOUT_S:g} s")
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
