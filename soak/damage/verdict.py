"""What becomes of a model directory that was changed."""

from pathlib import Path

import numpy as np

from model_server.errors import ModelDirectoryError
from model_server.model import directory as model_directory
from model_server.model import loading
from model_server.model.columns import Matrix
from model_server.model.directory import ModelDirectory

REFUSED, FAILING, RIGHT, WRONG = "refused", "failing at a request", "right", "wrong"

_ROWS = 200


class Judge:
    """Compare what a directory answers with what it did when it was sound.

    Parameters
    ----------
    directory : Path
        Sound now; its features are all numbers.
    """

    def __init__(self, directory: Path) -> None:
        self.sound = model_directory.read(directory)
        self._X = _sample(self.sound)
        self._y = loading.load(self.sound).predict(self._X)

    def read(self) -> str:
        """Tell what becomes of the directory as it is now."""
        try:
            return self.load(model_directory.read(self.sound.path))
        except ModelDirectoryError:
            return REFUSED

    def load(self, changed: ModelDirectory) -> str:
        """Tell what becomes of an artifact whose digests are in order."""
        try:
            loaded = loading.load(changed)
        except ModelDirectoryError:
            return REFUSED
        try:
            y = loaded.predict(self._X)
        except Exception:  # noqa: BLE001 - a client would get a 500
            return FAILING
        return RIGHT if loading.agree(y, self._y, self.sound.manifest.tolerance) else WRONG


def _sample(sound: ModelDirectory) -> Matrix:
    """Draw rows from the ranges of the features, none of them golden."""
    ranges = np.array(
        [[feature.minimum, feature.maximum] for feature in sound.manifest.features], np.float64
    )
    low, high = ranges.T
    return np.random.default_rng(0).uniform(low, high, size=(_ROWS, len(ranges)))
