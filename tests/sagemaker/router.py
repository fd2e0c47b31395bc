"""A stand-in for the platform's router before a multi-model container.

It unpacks a model where the container sees it, under a name of its own, loads it when it is first
asked for, and unloads the one that was not asked for longest where memory is short.
"""

import hashlib
import json
import tarfile
import urllib.error
import urllib.request
from pathlib import Path

MOUNTED = "/opt/ml/models"


class Router:
    """Ask a container for predictions of archives.

    Parameters
    ----------
    address : str
        Of the container.
    archives : Path
        The folder with the ``.tar.gz`` files.
    root : Path
        The folder that the container has at `mounted`.
    mounted : str
    """

    def __init__(self, address: str, archives: Path, root: Path, mounted: str = MOUNTED) -> None:
        self._address = address
        self._archives = archives
        self._root = root
        self._mounted = mounted
        self.loaded: list[str] = []
        self.unloaded: list[str] = []

    def invoke(self, target: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        """Return status and body of a prediction by the model of an archive."""
        name = hashlib.sha256(target.encode()).hexdigest()[:32]
        if name in self.loaded:
            self.loaded.remove(name)
        else:
            self._load(name, target)
        self.loaded.append(name)
        return self.ask("POST", f"/models/{name}/invoke", body, headers)

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, bytes]:
        """Return status and body of any request to the container."""
        request = urllib.request.Request(
            self._address + path, data=body, headers=headers or {}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def _load(self, name: str, target: str) -> None:
        place = self._root / name / "model"
        with tarfile.open(self._archives / target) as archive:
            archive.extractall(place, filter="data")
        asked = json.dumps({"model_name": name, "url": f"{self._mounted}/{name}/model"}).encode()
        headers = {"content-type": "application/json"}
        while True:
            status, told = self.ask("POST", "/models", asked, headers)
            if status in {200, 409}:
                return
            if status != 507 or not self.loaded:
                raise RuntimeError(f"{target}: not loaded: {status} {told.decode()}")
            oldest = self.loaded.pop(0)
            self.ask("DELETE", f"/models/{oldest}")
            self.unloaded.append(oldest)
