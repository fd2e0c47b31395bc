"""``python -m model_server``: read the settings, load the models, serve."""

import json
import logging
import logging.config
import os
import sys

from model_server.deferral import deferred

with deferred("pandas"):
    import kserve  # noqa: F401 - a third of its import time is pandas, which no v1 or v2 route uses

from model_server import logs, sagemaker, schema, settings
from model_server.errors import ModelServerError
from model_server.predictor import Predictor
from model_server.repository import Repository, Trust
from model_server.server import Server
from model_server.settings import Settings
from model_server.workers import Pools

log = logging.getLogger("model_server")


def main() -> int:
    """Serve until a signal; return the exit status."""
    chosen = settings.parse(sys.argv[1:], os.environ)
    logging.config.dictConfig(logs.config(chosen.log_level, access=chosen.access_log))
    pools = Pools(chosen.queue_limit_ms / 1000)
    try:
        serve(chosen, pools)
    except ModelServerError as error:
        log.critical(str(error))
        return 1
    if pools.busy:
        log.warning("a prediction took longer than a stop may take; it is given up")
        logging.shutdown()
        os._exit(0)  # the interpreter would wait for its thread
    return 0


def serve(chosen: Settings, pools: Pools) -> None:
    """Load every model directory and serve them.

    Raises
    ------
    ModelServerError
        If a model can't be served, a port is taken, or a file that is set can't be used.
    """
    trust = Trust(dict(chosen.expect_digest), pickle=chosen.pickle)
    repository = Repository(sagemaker.folder(chosen), trust, pools, chosen.rows_limit)
    if not chosen.multi_model:
        repository.open(skip_broken=chosen.skip_broken)
    scheme = "http" if chosen.ssl_certfile is None else "https"
    Server(chosen, repository).start(
        lambda port: (
            _print_example(repository, f"{scheme}://localhost:{port}")
            if chosen.print_example
            else None
        ),
    )
    pools.close()


def _print_example(repository: Repository, address: str) -> None:
    models = repository.get_models().values()
    served = (model.artifact.manifest for model in models if isinstance(model, Predictor))
    shortest = min(served, key=lambda manifest: len(manifest.features))
    body = json.dumps({"instances": [schema.example(shortest)]})
    print(  # noqa: T201 - this is what the user asked for
        f"\ncurl {address}/v1/models/{shortest.name}:predict "
        f"-H 'Content-Type: application/json' -d '{body}'\n",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
