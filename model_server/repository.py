"""The models that are served: every directory below one folder, checked before it is loaded."""

import asyncio
import dataclasses
import logging
from collections.abc import Mapping
from pathlib import Path

from kserve.model_repository import ModelRepository

from model_server import artifact, bare, runtime
from model_server.artifact import Artifact
from model_server.errors import ArtifactError
from model_server.predictor import BrokenPredictor, Predictor
from model_server.runtime import OnnxRuntime, Runtime
from model_server.workers import Pools

log = logging.getLogger("model_server")


@dataclasses.dataclass(frozen=True)
class Trust:
    """Which directories may be loaded.

    Parameters
    ----------
    digests : Mapping of str to str
        The SHA-256 of each model's manifest, by the model's name. Where there is any, no other
        model is loaded.
    pickle : bool
        Whether an estimator may be unpickled.
    """

    digests: Mapping[str, str]
    pickle: bool

    def check(self, candidate: Artifact) -> None:
        """See that a model may be loaded.

        Raises
        ------
        ArtifactError
        """
        name = candidate.manifest.name
        if self.digests and self.digests.get(name) != candidate.digest:
            expected = self.digests.get(name)
            problem = (
                f"where --expect-digest says {expected}" if expected else "which is not pinned"
            )
            raise ArtifactError(
                candidate.directory,
                artifact.MANIFEST,
                f"model {name!r} has SHA-256 {candidate.digest}, {problem}",
                "restore the directory or, if you made the change, pin the new digest",
            )
        if not self.pickle and candidate.model_file != artifact.ONNX:
            raise ArtifactError(
                candidate.directory,
                candidate.model_file,
                "is a pickle, which --no-pickle forbids",
                f"train the model with an estimator that converts to {artifact.ONNX}",
            )


class Repository(ModelRepository):
    """KServe's repository of models, filled from model directories.

    Parameters
    ----------
    folder : Path
    trust : Trust
    pools : Pools
    rows_limit : int
        Most rows of one request.
    """

    def __init__(self, folder: Path, trust: Trust, pools: Pools, rows_limit: int) -> None:
        super().__init__(str(folder))
        self._folder = folder
        self._trust = trust
        self.pools = pools
        self._rows_limit = rows_limit
        self._directories: dict[str, Path] = {}

    def open(self, *, skip_broken: bool) -> None:
        """Load every model directory.

        Parameters
        ----------
        skip_broken : bool
            Report a broken one as not ready instead of raising.

        Raises
        ------
        ArtifactError
            If a directory is broken, two models have one name, a pinned model is missing, or no
            model is ready.
        """
        for directory in artifact.find(self._folder):
            try:
                model = self.read(directory)
            except ArtifactError as error:
                if not skip_broken:
                    raise
                log.error(str(error))  # noqa: TRY400 - the line says it all
                model = BrokenPredictor(directory.name, str(error))
            if model.name in self.models:
                raise ArtifactError(
                    directory,
                    artifact.MANIFEST,
                    f"a second model named {model.name!r}",
                    "rename one",
                )
            self._directories[model.name] = directory
            self.update(model)
        for name in self._trust.digests:
            if name not in self.models:
                raise ArtifactError(
                    self._folder, "", f"holds no model {name!r}", "see --expect-digest"
                )
        if not any(model.ready for model in self.models.values()):
            raise ArtifactError(self._folder, "", "no model can be served", "see the lines above")

    async def load(self, name: str) -> bool:
        """Load a model once more from its directory, for KServe's repository route.

        Only a directory that was found at the start is read, whatever the name is.
        """
        directory = self._directories.get(name)
        if directory is None:
            return False
        model = await asyncio.to_thread(self.read, directory)
        if model.name != name:
            raise ArtifactError(
                directory, artifact.MANIFEST, f"holds {model.name!r} now, not {name!r}", "restart"
            )
        self.update(model)
        return True

    def read(self, directory: Path, name: str | None = None) -> Predictor:
        """Load a model directory, but do not serve it yet.

        Parameters
        ----------
        directory : Path
        name : str, optional
            That it is to have; by default that of its manifest.

        Raises
        ------
        ArtifactError
        """
        if bare.found(directory):
            checked = bare.read(directory)
            self._trust.check(checked)
            estimator = runtime.load_estimator(checked)
            return self._predictor(bare.complete(checked, estimator), estimator, name)
        checked = artifact.read(directory)
        self._trust.check(checked)
        return self._predictor(checked, runtime.load(checked), name)

    def forget(self, name: str) -> None:
        """Serve a model no more; requests in flight are still answered."""
        model = self.models.pop(name)
        if isinstance(model, Predictor):
            model.forget()

    def _predictor(self, checked: Artifact, loaded: Runtime, name: str | None) -> Predictor:
        kept = dataclasses.replace(checked, model=b"")  # the runtime has made its own of it
        graph = isinstance(loaded, OnnxRuntime)
        workers = self.pools.graphs if graph else self.pools.estimators
        return Predictor(kept, loaded, workers, self._rows_limit, name)
