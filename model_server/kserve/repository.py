"""The models that are served: every directory below one folder, checked before it is loaded."""

import asyncio
import logging
from pathlib import Path

from kserve.model_repository import ModelRepository
from typing_extensions import override

from model_server.errors import (
    ModelDirectoryError,
    ModelNotFound,
    ModelNotReady,
    ModelServerError,
    RequestError,
    first_line,
)
from model_server.http.predictions import INVOCATIONS
from model_server.inference.executor import Executors
from model_server.inference.served import Served
from model_server.kserve.predictor import BrokenPredictor, Predictor
from model_server.model import directory as model_directory
from model_server.model import loading, without_manifest
from model_server.model.load_policy import LoadPolicy
from model_server.model.runtime import EstimatorLoader, Runtime

log = logging.getLogger("model_server")

READY, UNAVAILABLE = "READY", "UNAVAILABLE"
"""The states of Triton's index that a model can be in."""


class Repository(ModelRepository):
    """KServe's repository of models, filled from model directories.

    Parameters
    ----------
    folder : Path
    policy : LoadPolicy
    load_estimator : callable
        What loads the models that have no graph.
    executors : Executors
    rows_limit : int
        Most rows of one request.

    Attributes
    ----------
    served : dict of str to Served
        The models that could be loaded, ready or not, by their names.
    """

    def __init__(
        self,
        folder: Path,
        policy: LoadPolicy,
        load_estimator: EstimatorLoader,
        executors: Executors,
        rows_limit: int,
    ) -> None:
        super().__init__(str(folder))
        self.served: dict[str, Served] = {}
        self._folder = folder
        self._policy = policy
        self._load_estimator = load_estimator
        self._executors = executors
        self._rows_limit = rows_limit
        self._directories: dict[str, Path] = {}

    def open(self, *, skip_broken: bool) -> None:
        """Load every model directory.

        Parameters
        ----------
        skip_broken : bool
            Report a broken one as not ready, under the directory's name, instead of raising.

        Raises
        ------
        ModelDirectoryError
            If a directory is broken, two models have one name, a pinned model is missing, or no
            model is ready.
        """
        broken: dict[Path, str] = {}
        for directory in model_directory.find(self._folder):
            try:
                self._add(directory)
            except ModelDirectoryError as error:
                if not skip_broken:
                    raise
                log.error(str(error))  # noqa: TRY400 - the line says it all
                broken[directory] = str(error)
        for directory, problem in broken.items():
            name = directory.name
            if name not in self.models and name.isprintable():  # not of bytes that are no text
                self._directories[name] = directory
                self.update(BrokenPredictor(name, problem))
        for name in self._policy.digests:
            if name not in self.models:
                missing = ModelDirectoryError(
                    self._folder, "", f"holds no model {name!r}", "see --expect-digest"
                )
                if not broken:
                    raise missing
                log.error(str(missing))  # it is one of the broken ones
        if not any(model.ready for model in self.models.values()):
            raise ModelDirectoryError(
                self._folder, "", "no model can be served", "see the lines above"
            )

    def _add(self, directory: Path) -> None:
        model = Predictor(self.read(directory))
        if model.name in self.models:
            raise ModelDirectoryError(
                directory,
                model_directory.MANIFEST,
                f"a second model named {model.name!r}",
                "rename one",
            )
        self._directories[model.name] = directory
        self.update(model)

    def unserved(self, name: str) -> RequestError:
        """Return the error of a name that no ready model has."""
        if name in self.models:
            return ModelNotReady(f"Model with name {name} is not ready.")
        return ModelNotFound(f"Model with name {name} does not exist.")

    @override
    def update(self, model: Predictor | BrokenPredictor, name: str | None = None) -> None:
        """Serve a model, in place of the one of its name."""
        super().update(model, name)
        if isinstance(model, Predictor):
            self.served[name or model.name] = model.served

    @override
    def unload(self, name: str) -> None:
        """Serve a model no more; requests in flight are still answered.

        Raises
        ------
        ModelNotFound
        """
        if name not in self.models:
            raise self.unserved(name)
        super().unload(name)
        self.served.pop(name, None)

    @override
    async def load(self, name: str) -> bool:
        """Load a model once more from its directory, which was found at the start.

        Raises
        ------
        ModelNotFound
        ModelNotReady
            If it can't be served; what was served of it goes on.
        """
        self.update(Predictor(await asyncio.to_thread(self._read_again, name)))
        return True

    def load_at_once(self, name: str) -> None:
        """Do the same where nothing else goes on; see `load`."""
        self.update(Predictor(self._read_again(name)))

    def _read_again(self, name: str) -> Served:
        directory = self._directories.get(name)
        if directory is None:
            raise self.unserved(name)
        try:
            model = self.read(directory)
            if model.name != name:
                raise ModelDirectoryError(
                    directory,
                    model_directory.MANIFEST,
                    f"holds {model.name!r} now, not {name!r}",
                    "restart",
                )
        except ModelDirectoryError as error:
            raise ModelNotReady(str(error)) from error
        return model

    def find(self, name: str, version: str | None = None) -> Served:
        """Return a model, ready or not.

        Raises
        ------
        ModelNotFound
            If there is none of this name, or it is of another version.
        ModelNotReady
            If it could not be loaded.
        """
        served = self.served.get(name)
        if served is None:
            raise self.unserved(name)
        if version is not None:
            served.check_version(version)
        return served

    def only(self, named: str) -> str:
        """Return the name of the model that is asked where a request has none.

        Parameters
        ----------
        named : str
            By the settings, where there are several; else empty.

        Raises
        ------
        ModelServerError
            If it is not clear which.
        """
        names: list[str] = list(self.models)
        if len(names) == 1:
            return names[0]
        if named in names:
            return named
        raise ModelServerError(
            f"{INVOCATIONS} can ask one model only, and there are {', '.join(names)}; "
            "name one with --invocations"
        )

    def find_ready(self, name: str, version: str | None = None) -> Served:
        """Return a model that can answer.

        Raises
        ------
        ModelNotFound
            If there is none of this name, or it is of another version.
        ModelNotReady
        """
        served = self.find(name)
        if not served.ready:
            raise self.unserved(name)
        if version is not None:
            served.check_version(version)
        return served

    def index(self) -> list[dict[str, str]]:
        """Return name, version, state and what is wrong of every model that was ever found."""
        return [self._entry(name) for name in sorted({*self._directories, *self.models})]

    def _entry(self, name: str) -> dict[str, str]:
        served, model = self.served.get(name), self.models.get(name)
        if served is not None:
            reason = "" if served.ready else "it fails its golden rows"
        else:
            reason = "it was unloaded" if model is None else model.problem
        return {
            "name": name,
            "version": "" if served is None else served.manifest.version,
            "state": UNAVAILABLE if reason else READY,
            "reason": reason,
        }

    def read(self, path: Path, name: str | None = None) -> Served:
        """Load a model directory, but do not serve it yet.

        Parameters
        ----------
        path : Path
        name : str, optional
            That it is to have; by default that of its manifest.

        Raises
        ------
        ModelDirectoryError
            Whatever is wrong with it.
        """
        try:
            return self._read(path, name)
        except ModelDirectoryError:
            raise
        except Exception as error:
            raise ModelDirectoryError(
                path,
                "",
                f"can't be served ({first_line(error)})",
                "train the model again",
            ) from error

    def _read(self, path: Path, name: str | None) -> Served:
        if without_manifest.is_one(path):
            directory = self._policy.admitted(without_manifest.read(path))
            estimator = self._load_estimator(directory, None)
            directory = without_manifest.complete(directory, estimator)
            loaded: Runtime = estimator
        else:
            directory = self._policy.admitted(model_directory.read(path))
            loaded = loading.load(directory, self._load_estimator)
        return Served(directory, loaded, self._executors, self._rows_limit, name)


USED = {ModelRepository: ("models",)}
"""What is used of KServe's own; see `model_server.overrides`."""
