"""Which model directories may be loaded, pinned ones and pickles, and what is to hold for all."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from model_server.errors import ModelDirectoryError
from model_server.model import loading
from model_server.model.directory import MANIFEST, ONNX, ModelDirectory


@dataclass(frozen=True)
class LoadPolicy:
    """Which directories may be loaded.

    Parameters
    ----------
    digests : Mapping of str to str
        The SHA-256 of each model's manifest, by the model's name. Where there is any, no other
        model is loaded.
    pickle : bool
        Whether an estimator may be unpickled.
    ignores_surplus : bool, optional
        Whether columns that are no features are ignored, whatever a manifest says.
    """

    digests: Mapping[str, str]
    pickle: bool
    ignores_surplus: bool = False

    def admitted(self, candidate: ModelDirectory) -> ModelDirectory:
        """Return a directory as it may be loaded.

        Raises
        ------
        ModelDirectoryError
        """
        name = candidate.manifest.name
        if self.digests and self.digests.get(name) != candidate.digest:
            expected = self.digests.get(name)
            problem = (
                f"where --expect-digest says {expected}" if expected else "which is not pinned"
            )
            raise ModelDirectoryError(
                candidate.path,
                MANIFEST,
                f"model {name!r} has SHA-256 {candidate.digest}, {problem}",
                "restore the directory or, if you made the change, pin the new digest",
            )
        if not self.pickle and loading.kind(candidate).unpickles:
            raise ModelDirectoryError(
                candidate.path,
                candidate.model_file,
                "is a pickle, which --no-pickle forbids",
                f"train the model with an estimator that converts to {ONNX}",
            )
        if not self.ignores_surplus:
            return candidate
        manifest = candidate.manifest.model_copy(update={"surplus": "ignored"})
        return replace(candidate, manifest=manifest)
