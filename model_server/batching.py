"""Predictions off the event loop's back: small ones merged, large ones in a thread.

Requests that are submitted in the same turn of the event loop are answered by one call of the
runtime, with no wait added. Merging is only done where no answer changes by a bit with its company:
that is tried out when the model is loaded, and no more rows are merged than were tried.
"""

import asyncio
import os
import timeit
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from model_server.columns import Matrix
from model_server.runtime import OnnxRuntime, Runtime

_INLINE_S = 0.002
_TRIED_ROWS = 64

_threads = ThreadPoolExecutor(len(os.sched_getaffinity(0)), thread_name_prefix="predict")

Predictions = npt.NDArray[Any]


class Batcher:
    """Hand a runtime the rows of many requests.

    Parameters
    ----------
    runtime : Runtime
    X : ndarray of shape (n_rows, n_features), float64
        Some rows that the model can predict, to try it out with.
    """

    def __init__(self, runtime: Runtime, X: Matrix) -> None:
        self._runtime = runtime
        self._waiting: list[tuple[Matrix, asyncio.Future[Predictions]]] = []
        self._inline_rows = 0
        self._merges = False
        if isinstance(runtime, OnnxRuntime):
            tried = _mixed(X)
            self._inline_rows = int(_INLINE_S / _row_s(runtime, tried))
            self._merges = _same_in_company(runtime, tried)

    def submit(self, X: Matrix) -> asyncio.Future[Predictions]:
        """Return the predictions to come of some rows.

        Parameters
        ----------
        X : ndarray of shape (n_rows, n_features), float64

        Returns
        -------
        future of ndarray of shape (n_rows,)
        """
        loop = asyncio.get_running_loop()
        if len(X) > self._inline_rows:
            return loop.run_in_executor(_threads, self._runtime.predict, X)
        if not self._waiting:
            loop.call_soon(self._flush)
        future: asyncio.Future[Predictions] = loop.create_future()
        self._waiting.append((X, future))
        return future

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        group: list[tuple[Matrix, asyncio.Future[Predictions]]] = []
        rows = 0
        for X, future in waiting:
            if group and (not self._merges or rows + len(X) > _TRIED_ROWS):
                self._answer_together(group)
                group, rows = [], 0
            group.append((X, future))
            rows += len(X)
        self._answer_together(group)

    def _answer_together(self, group: list[tuple[Matrix, asyncio.Future[Predictions]]]) -> None:
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

    def _answer(self, X: Matrix, future: asyncio.Future[Predictions]) -> None:
        if future.done():
            return
        try:
            future.set_result(self._runtime.predict(X))
        except Exception as error:  # noqa: BLE001 - it is raised where the future is awaited
            future.set_exception(error)


def _mixed(X: Matrix) -> Matrix:
    """Return rows whose every cell is one of its column, drawn with a fixed seed."""
    rng = np.random.default_rng(0)
    return np.column_stack([rng.choice(column, _TRIED_ROWS) for column in X.T])


def _row_s(runtime: Runtime, X: Matrix) -> float:
    """Return the shortest of a few timings: a pause of the machine is none of the model's."""
    timings = timeit.repeat(lambda: runtime.predict(X), number=1, repeat=5)
    return min(timings) / len(X)


def _same_in_company(runtime: Runtime, X: Matrix) -> bool:
    alone = [runtime.predict(X[[row]])[0] for row in range(len(X))]
    return all(
        np.array_equal(runtime.predict(X[:rows]), alone[:rows]) for rows in range(2, len(X) + 1)
    )
