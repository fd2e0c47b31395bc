"""``python -m model_server``: read the settings, load the models, serve."""

import json
import logging
import logging.config
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from model_server.deferral import deferred

with deferred("pandas"):
    import kserve  # noqa: F401 - a third of its import time is pandas, which no v1 or v2 route uses

from model_server import artifact, logs, runtime, schema, settings
from model_server.errors import ArtifactError, ModelServerError
from model_server.predictor import BrokenPredictor, Predictor
from model_server.server import Server
from model_server.settings import Settings

Model = Predictor | BrokenPredictor

log = logging.getLogger("model_server")


def main() -> int:
    """Serve until a signal; return the exit status."""
    chosen = settings.parse(sys.argv[1:], os.environ)
    logging.config.dictConfig(logs.config(chosen.log_level, access=chosen.access_log))
    try:
        serve(chosen)
    except ModelServerError as error:
        log.critical(str(error))
        return 1
    return 0


def serve(chosen: Settings) -> None:
    """Load every model directory and serve them.

    Raises
    ------
    ModelServerError
        If a model can't be served or a port is taken.
    """
    models: dict[str, Model] = {}
    for directory, model in _load(chosen.models, skip_broken=chosen.skip_broken):
        if model.name in models:
            raise ArtifactError(
                directory, artifact.MANIFEST, f"a second model named {model.name!r}", "rename one"
            )
        models[model.name] = model
    if not any(model.ready for model in models.values()):
        raise ArtifactError(chosen.models, "", "no model can be served", "see the lines above")
    Server(chosen).start(
        list(models.values()),
        lambda port: _print_example(models.values(), port) if chosen.print_example else None,
    )


def _load(models: Path, *, skip_broken: bool) -> Iterator[tuple[Path, Model]]:
    for directory in artifact.find(models):
        try:
            checked = artifact.read(directory)
            yield directory, Predictor(checked, runtime.load(checked))
        except ArtifactError as error:
            if not skip_broken:
                raise
            log.error(str(error))  # noqa: TRY400 - the line says it all
            yield directory, BrokenPredictor(directory.name, str(error))


def _print_example(models: Iterable[Model], port: int) -> None:
    served = (model.artifact.manifest for model in models if isinstance(model, Predictor))
    shortest = min(served, key=lambda manifest: len(manifest.features))
    body = json.dumps({"instances": [schema.example(shortest)]})
    print(  # noqa: T201 - this is what the user asked for
        f"\ncurl http://localhost:{port}/v1/models/{shortest.name}:predict "
        f"-H 'Content-Type: application/json' -d '{body}'\n",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
