"""Predictions off the event loop's back: small ones merged, large ones handed to the executor.

Requests that are submitted in the same turn of the event loop are answered by one call of the
runtime, with no wait added. Merging is only done where no answer changes by a bit with its company:
that is tried out when the model is loaded, and no more rows are merged than were tried.
"""

import asyncio
import math
import timeit
from typing import Any

import numpy as np
import numpy.typing as npt

from model_server.errors import Overloaded, TooLarge
from model_server.inference.executor import Executor
from model_server.metrics import REJECTED
from model_server.model.columns import Instances, fields
from model_server.model.runtime import Runtime

_INLINE_S = 0.002
_TRIED_ROWS = 64

Predictions = npt.NDArray[Any]


class Batcher:
    """Hand a runtime the rows of many requests.

    Parameters
    ----------
    runtime : Runtime
    X : ndarray of shape (n_rows, n_features) or (n_rows,)
        Some rows that the model can predict, to try it out with.
    executor : Executor
        The model's threads, for what is large.
    rows_limit : int
        Most rows of one request.
    """

    def __init__(self, runtime: Runtime, X: Instances, executor: Executor, rows_limit: int) -> None:
        self._runtime = runtime
        self._executor = executor
        self._rows_limit = rows_limit
        self._time_limit_s = math.inf if executor.time_limit_s is None else executor.time_limit_s
        self._waiting: list[tuple[Instances, asyncio.Future[Predictions]]] = []
        self._waiting_s = 0.0
        tried = _mixed(X)
        self._call_s, self._row_s = _cost(runtime, tried)
        self._inline_rows = int((_INLINE_S - self._call_s) / self._row_s) if runtime.merges else 0
        self._inline_bytes = self._inline_rows * 2 * len(fields(X))  # a cell and what parts it
        self._merges = runtime.merges and _same_in_company(runtime, tried)

    def cost_s(self, n_rows: int) -> float:
        """Return how long so many rows took when the model was loaded, in seconds."""
        return self._call_s + n_rows * self._row_s

    def check(self, length_bytes: int) -> None:
        """See that rows in a body of this length would be begun in time, before it is read.

        Raises
        ------
        Overloaded
        """
        if self._waiting_s > self._executor.queue_limit_s:
            REJECTED.labels("queue").inc()
            raise Overloaded("queue")
        if length_bytes > self._inline_bytes:
            self._executor.check()

    def submit(self, X: Instances) -> asyncio.Future[Predictions]:
        """Return the predictions to come of some rows.

        Parameters
        ----------
        X : ndarray of shape (n_rows, n_features) or (n_rows,)

        Returns
        -------
        future of ndarray of shape (n_rows, ...)
            Nothing is predicted for one that is cancelled in time.

        Raises
        ------
        Overloaded
            If they would wait too long.
        TooLarge
            If there are too many, or they would take too long.
        """
        if len(X) > self._rows_limit:
            REJECTED.labels("rows").inc()
            raise TooLarge(f"the body has {len(X)} rows; send at most {self._rows_limit}")
        cost_s = self.cost_s(len(X))
        if cost_s > self._time_limit_s:
            raise self._too_long(len(X), cost_s)
        if len(X) > self._inline_rows:
            self._executor.check()
            return self._executor.submit(cost_s, lambda: self._runtime.predict(X))
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._flush)
        future: asyncio.Future[Predictions] = loop.create_future()
        self._waiting.append((X, future))
        self._waiting_s += cost_s
        return future

    def _too_long(self, n_rows: int, cost_s: float) -> TooLarge:
        REJECTED.labels("time").inc()
        fitting = max(int((self._time_limit_s - self._call_s) / self._row_s), 0)
        return TooLarge(
            f"{n_rows} rows would take about {cost_s:.0f} s; send at most {fitting} at a time, or "
            f"raise --request-limit-s ({self._time_limit_s:g} s)"
        )

    def _flush(self) -> None:
        waiting, self._waiting, self._waiting_s = self._waiting, [], 0.0
        group: list[tuple[Instances, asyncio.Future[Predictions]]] = []
        rows = 0
        for X, future in waiting:
            if group and (not self._merges or rows + len(X) > _TRIED_ROWS):
                self._answer_together(group)
                group, rows = [], 0
            group.append((X, future))
            rows += len(X)
        self._answer_together(group)

    def _answer_together(self, group: list[tuple[Instances, asyncio.Future[Predictions]]]) -> None:
        if len(group) == 1:
            self._answer(*group[0])
            return
        try:
            y = self._runtime.predict(np.concatenate([X for X, _ in group]))
        except Exception:  # noqa: BLE001 - whose fault it is shows when each is predicted alone
            for X, future in group:
                self._answer(X, future)
            return
        begin = 0
        for X, future in group:
            end = begin + len(X)
            if not future.done():
                future.set_result(y[begin:end])
            begin = end

    def _answer(self, X: Instances, future: asyncio.Future[Predictions]) -> None:
        if future.done():
            return
        try:
            future.set_result(self._runtime.predict(X))
        except Exception as error:  # noqa: BLE001 - it is raised where the future is awaited
            future.set_exception(error)


def _mixed(X: Instances) -> Instances:
    """Return rows whose every cell is one of its column, drawn with a fixed seed."""
    rng = np.random.default_rng(0)
    mixed = X[rng.integers(len(X), size=_TRIED_ROWS)]
    for column in fields(mixed):
        rng.shuffle(column)
    return mixed


def _cost(runtime: Runtime, X: Instances) -> tuple[float, float]:
    """Return what a call costs and what each row adds, in seconds."""
    one_s, all_s = _shortest_s(runtime, X[:1]), _shortest_s(runtime, X)
    row_s = max((all_s - one_s) / (len(X) - 1), 1e-9)
    return one_s, row_s


def _shortest_s(runtime: Runtime, X: Instances) -> float:
    """Return the shortest of a few timings: a pause of the machine is none of the model's."""
    return min(timeit.repeat(lambda: runtime.predict(X), number=1, repeat=5))


def _same_in_company(runtime: Runtime, X: Instances) -> bool:
    alone = [runtime.predict(X[[row]])[0] for row in range(len(X))]
    return all(
        np.array_equal(runtime.predict(X[:rows]), alone[:rows]) for rows in range(2, len(X) + 1)
    )
