"""The servers: each started on a CPU of its own, watched until it answers, and ended by its id."""

import http.client
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.cpus import pinned
from bench.errors import BenchError
from bench.models import JSON, Model
from harness.ports import HOST, reserve_port
from harness.processes import Process, ServerProcess, StartError
from model_server.model.directory import JOBLIB

STOCK = "stock KServe"
CEILING = "ceiling"
OURS = "this server"


@dataclass(frozen=True)
class Running:
    """A server that answers.

    Attributes
    ----------
    url, infer_url : str
        The routes that predict, of v1 and of v2.
    is_stock : bool
        Whether it reads objects as stock KServe does.
    answer : bytes
        The body of its first 200, for one row.
    start_s : float
        From the start of the process to the end of that answer.
    process : Process
    """

    url: str
    infer_url: str
    is_stock: bool
    answer: bytes
    start_s: float
    process: Process


@contextmanager
def start(
    server: str, model: Model, cpu: int, folder: Path, ceiling_length: int
) -> Iterator[Running]:
    """Start a server on one CPU, wait until it predicts a row, and end it after the block.

    Parameters
    ----------
    server : str
        `STOCK`, `CEILING` or `OURS`.
    model : Model
    cpu : int
    folder : Path
        Where its log is written.
    ceiling_length : int
        Of the ceiling's answer, in bytes.

    Raises
    ------
    BenchError
        If it does not start, answers wrongly, or such an error comes out of the block; with the
        last line of its log.
    """
    stock_port = reserve_port() if server == STOCK else 0
    process = _process(server, model, folder / "server.log", ceiling_length, stock_port)
    with pinned(cpu):
        began = time.perf_counter()
        process.start()
    try:
        port = stock_port or int(process.serving()["http_port"])
        body = model.stock_body(1) if server == STOCK else model.body(1, JSON)
        answer = _first_answer(process, port, model.path, body)
        took_s = time.perf_counter() - began
        url = f"http://{HOST}:{port}"
        running = Running(
            *(f"{url}{model.path}", f"{url}{model.infer_path}", server == STOCK),
            *(answer, took_s, process),
        )
        if server != CEILING:
            model.check(answer)
        yield running
    except (BenchError, StartError) as error:
        what = error.reason if isinstance(error, StartError) else error
        last = process.log.read_text(errors="replace").strip().rpartition("\n")[2]
        raise BenchError(f"{server}, {model.name}: {what}; its log ends: {last}") from error
    finally:
        process.kill()


def _process(server: str, model: Model, log: Path, ceiling_length: int, stock_port: int) -> Process:
    if server == OURS:
        return ServerProcess(model.directory.parent, log=log)
    if server == CEILING:
        return Process("bench.ceiling", "--length", str(ceiling_length), log=log)
    ports = ("--http_port", str(stock_port), "--grpc_port", str(reserve_port()))
    named = ("--model_name", model.name, str(model.directory / JOBLIB))
    return Process("bench.stock", *ports, *named, log=log)


def _first_answer(process: Process, port: int, path: str, body: bytes) -> bytes:
    for _ in process.starting():
        connection = http.client.HTTPConnection(HOST, port, timeout=30)
        try:
            connection.request("POST", path, body, {"content-type": JSON})
            response = connection.getresponse()
            answer = response.read()
            if response.status == http.HTTPStatus.OK:
                return answer
        except ConnectionError:
            continue
        finally:
            connection.close()
    raise AssertionError
