"""The program: read the settings, load the models, serve."""

import json
import logging
import os
import signal
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from multiprocessing.connection import Connection
from typing import Any

from model_server.kserve.deferred_imports import deferred, own_code_deferred

with own_code_deferred("fastapi", "kserve"), deferred("httpx"), deferred("pandas"):
    import kserve.model  # noqa: F401 - two thirds of a start were imports of what no route uses

from model_server import logs, memory, settings
from model_server.errors import ModelServerError
from model_server.fleet.siblings import Alone, Sibling
from model_server.fleet.supervisor import Supervisor
from model_server.inference.executor import OVERRUN, Executors
from model_server.kserve import control
from model_server.kserve.repository import Repository
from model_server.model.load_policy import LoadPolicy
from model_server.ports import Ports, opened
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
    try:
        check_packages()
        program = Program(chosen)
        return program.serve() if chosen.workers == 1 else program.supervise()
    except ModelServerError as error:
        log.critical(str(error))
        return 1


class Program:
    """The models of the settings, loaded, and their server.

    Parameters
    ----------
    chosen : Settings

    Raises
    ------
    ModelServerError
        If a model can't be served, or a file that is set can't be used.
    """

    def __init__(self, chosen: Settings) -> None:
        self._chosen = chosen
        self._executors = Executors(chosen.queue_limit_ms / 1000, chosen.request_limit_s or None)
        time_limit_s = OVERRUN * chosen.request_limit_s or None
        self._estimators = Estimators(chosen.workers_per_model, time_limit_s)
        self._repository = Repository(
            sagemaker.folder(chosen),
            LoadPolicy(
                dict(chosen.expect_digest),
                pickle=chosen.pickle,
                ignores_surplus=chosen.ignore_surplus,
            ),
            self._estimators.load,
            self._executors,
            chosen.rows_limit,
        )
        if not chosen.multi_model:
            self._repository.open(skip_broken=chosen.skip_broken)

    def serve(self) -> int:
        """Serve until a signal; return the exit status.

        Raises
        ------
        ModelServerError
            If a port is taken.
        """
        with self._ports() as [ports]:
            self._begin(Server(self._chosen, self._repository, Alone()), ports, self._tell)
        if self._executors.busy:
            log.warning("a prediction took longer than a stop may take; it is given up")
            logging.shutdown()
            os._exit(0)  # the interpreter would wait for its thread
        self._estimators.close()
        return 0

    def supervise(self) -> int:
        """Have workers serve until a signal; return the exit status.

        Raises
        ------
        ModelServerError
            If a port is taken, or a worker ends at its start.
        """
        sibling = Sibling()
        server = Server(self._chosen, self._repository, sibling)

        def serve(ports: Ports, supervisor: Connection) -> int:
            sibling.connect(supervisor)
            self._begin(server, ports, sibling.start)
            return 0

        with self._ports() as ports:
            self._estimators.rest()
            Supervisor(ports, serve, self._keep_up).run(self._tell)
        self._estimators.close()
        return 0

    def _ports(self) -> AbstractContextManager[list[Ports]]:
        chosen = self._chosen
        grpc_port = chosen.grpc_port if chosen.grpc else None
        return opened(chosen.http_port, chosen.health_port, grpc_port, chosen.workers)

    def _begin(
        self, server: Server, ports: Ports, on_serving: Callable[[dict[str, Any]], None]
    ) -> None:
        logs.in_background()
        self._executors.start()
        server.start(ports, on_serving)

    def _keep_up(self, what: str, name: str) -> None:
        """Do in this process what all workers are asked; see `Supervisor`."""
        control.keep_up(self._repository, what, name)
        self._estimators.rest()

    def _tell(self, told: dict[str, Any]) -> None:
        """Log that requests are accepted, and print an example where one is asked for."""
        chosen = self._chosen
        workers = {} if chosen.workers == 1 else {"workers": chosen.workers}
        log.info("serving", extra={**told, **workers})
        if chosen.print_example:
            scheme = "http" if chosen.ssl_certfile is None else "https"
            _print_example(self._repository, f"{scheme}://localhost:{told['http_port']}")


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
