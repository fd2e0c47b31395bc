"""The program: read the settings, load the models, serve."""

import json
import logging
import os
import signal
import sys

from model_server.kserve.deferred_imports import deferred, own_code_deferred

with own_code_deferred("fastapi", "kserve"), deferred("httpx"), deferred("pandas"):
    import kserve.model  # noqa: F401 - two thirds of a start were imports of what no route uses

from model_server import logs, memory, settings
from model_server.errors import ModelServerError
from model_server.inference.executor import OVERRUN, Executors
from model_server.kserve.repository import Repository
from model_server.model.load_policy import LoadPolicy
from model_server.sagemaker import routes as sagemaker
from model_server.server import Server, check_packages
from model_server.settings import Settings
from model_server.workers.estimators import Estimators

log = logging.getLogger("model_server")


def run() -> int:
    """Serve until a signal; return the exit status."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `--help | head` ends without a word
    chosen = settings.parse(sys.argv[1:], os.environ)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    memory.return_large_blocks()
    logs.begin(chosen.log_level, access=chosen.access_log)
    executors = Executors(chosen.queue_limit_ms / 1000, chosen.request_limit_s or None)
    try:
        check_packages()
        serve(chosen, executors)
    except ModelServerError as error:
        log.critical(str(error))
        return 1
    if executors.busy:
        log.warning("a prediction took longer than a stop may take; it is given up")
        logging.shutdown()
        os._exit(0)  # the interpreter would wait for its thread
    return 0


def serve(chosen: Settings, executors: Executors) -> None:
    """Load every model directory and serve them.

    Raises
    ------
    ModelServerError
        If a model can't be served, a port is taken, or a file that is set can't be used.
    """
    policy = LoadPolicy(dict(chosen.expect_digest), pickle=chosen.pickle)
    time_limit_s = OVERRUN * chosen.request_limit_s or None
    estimators = Estimators(chosen.workers_per_model, time_limit_s)
    repository = Repository(
        sagemaker.folder(chosen), policy, estimators.load, executors, chosen.rows_limit
    )
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
    if not executors.busy:
        estimators.close()


def _print_example(repository: Repository, address: str) -> None:
    served = repository.served.values()
    if not served:
        return
    shortest = min(served, key=lambda model: len(model.signature.columns.names))
    body = json.dumps({"instances": [shortest.signature.columns.example()]})
    try:
        print(  # noqa: T201 - this is what the user asked for
            f"\ncurl {address}/v1/models/{shortest.name}:predict "
            f"-H 'Content-Type: application/json' -d '{body}'\n",
            flush=True,
        )
    except BrokenPipeError:  # as in `--print-example | true`: who asked has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        signal.raise_signal(signal.SIGTERM)
