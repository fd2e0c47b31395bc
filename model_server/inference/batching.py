"""Predictions off the event loop's back: small ones merged, large ones handed to the executor.

Requests that are submitted in the same turn of the event loop are answered by one call of the
runtime, with no wait added. Merging is only done where no answer changes by a bit with its company:
that is tried out when the model is loaded, and no more rows are merged than were tried.
"""

import asyncio
import math
import timeit

import numpy as np

from model_server.errors import Overloaded, TooLarge
from model_server.inference.executor import Executor
from model_server.metrics import REJECTED
from model_server.model.columns import Instances, fields
from model_server.model.outputs import Answers
from model_server.model.runtime import Runtime
from model_server.model.signature import Signature

_INLINE_S = 0.002
_TRIED_ROWS = 64

Names = tuple[str, ...]
_Waiting = tuple[Instances, Names, "asyncio.Future[Answers]"]


class Batcher:
    """Hand a runtime the rows of many requests.

    Parameters
    ----------
    runtime : Runtime
    signature : Signature
        Of the model, which is tried out on its golden rows.
    executor : Executor
        The model's threads, for what is large.
    rows_limit : int
        Most rows of one request.
    """

    def __init__(
        self,
        runtime: Runtime,
        signature: Signature,
        executor: Executor,
        rows_limit: int,
    ) -> None:
        self._runtime = runtime
        self._executor = executor
        self._rows_limit = rows_limit
        self._time_limit_s = math.inf if executor.time_limit_s is None else executor.time_limit_s
        self._waiting: list[_Waiting] = []
        self._waiting_s = 0.0
        n_features = len(signature.columns.names)
        tried = _mixed(signature.golden_X)
        self._call_s, self._row_s = _cost(runtime, tried, signature.returned)
        self._inline_rows = int((_INLINE_S - self._call_s) / self._row_s) if runtime.merges else 0
        self._inline_bytes = self._inline_rows * 2 * n_features  # a cell and what parts it
        self._merges = runtime.merges and _same_in_company(runtime, tried, tuple(signature.outputs))

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

    def submit(self, X: Instances, names: Names) -> asyncio.Future[Answers]:
        """Return the answers to come for some rows.

        Parameters
        ----------
        X : ndarray of shape (n_rows, n_features) or (n_rows,)
        names : tuple of str
            The outputs that are asked for.

        Returns
        -------
        future of dict of str to ndarray of shape (n_rows, ...)
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
            return self._executor.submit(cost_s, lambda: self._runtime.answer(X, names))
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._flush)
        future: asyncio.Future[Answers] = loop.create_future()
        self._waiting.append((X, names, future))
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
        group: list[_Waiting] = []
        rows = 0
        for X, names, future in waiting:
            fits = self._merges and rows + len(X) <= _TRIED_ROWS
            if group and not (fits and names == group[0][1]):
                self._answer_together(group)
                group, rows = [], 0
            group.append((X, names, future))
            rows += len(X)
        self._answer_together(group)

    def _answer_together(self, group: list[_Waiting]) -> None:
        if len(group) == 1:
            self._answer(*group[0])
            return
        try:
            joined = np.concatenate([X for X, _, _ in group])
            answers = self._runtime.answer(joined, group[0][1])
        except Exception:  # noqa: BLE001 - whose fault it is shows when each is predicted alone
            for each in group:
                self._answer(*each)
            return
        begin = 0
        first, *others = answers.items()
        for X, _, future in group:
            end = begin + len(X)
            if not future.done():
                part = {first[0]: first[1][begin:end]}
                for name, y in others:
                    part[name] = y[begin:end]
                future.set_result(part)
            begin = end

    def _answer(self, X: Instances, names: Names, future: "asyncio.Future[Answers]") -> None:
        if future.done():
            return
        try:
            future.set_result(self._runtime.answer(X, names))
        except Exception as error:  # noqa: BLE001 - it is raised where the future is awaited
            future.set_exception(error)


def _mixed(X: Instances) -> Instances:
    """Return rows whose every cell is one of its column, drawn with a fixed seed."""
    rng = np.random.default_rng(0)
    mixed = X[rng.integers(len(X), size=_TRIED_ROWS)]
    for column in fields(mixed):
        rng.shuffle(column)
    return mixed


def _cost(runtime: Runtime, X: Instances, names: Names) -> tuple[float, float]:
    """Return what a call costs and what each row adds, in seconds."""
    one_s, all_s = _shortest_s(runtime, X[:1], names), _shortest_s(runtime, X, names)
    row_s = max((all_s - one_s) / (len(X) - 1), 1e-9)
    return one_s, row_s


def _shortest_s(runtime: Runtime, X: Instances, names: Names) -> float:
    """Return the shortest of a few timings: a pause of the machine is none of the model's."""
    return min(timeit.repeat(lambda: runtime.answer(X, names), number=1, repeat=5))


def _same_in_company(runtime: Runtime, X: Instances, names: Names) -> bool:
    alone = [runtime.answer(X[[row]], names) for row in range(len(X))]
    one_by_one = {name: np.concatenate([each[name] for each in alone]) for name in names}
    return all(
        np.array_equal(y, one_by_one[name][:rows])
        for rows in range(2, len(X) + 1)
        for name, y in runtime.answer(X[:rows], names).items()
    )
