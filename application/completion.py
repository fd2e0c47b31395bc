"""A CSV file with its predictions: batch after batch is asked for as the file is written.

A row that can't be used keeps its place and gets the problem instead of a prediction.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from application.endpoint import Endpoint
from application.errors import BadTable, EndpointError, Refused, TooManyRows
from application.form import Value
from application.model import Model
from application.table import Rows, Table

REFUSALS_LIMIT = 50
"""Each costs a request of its own: so many of a batch are found out, the rest is not asked for."""


@dataclass(frozen=True)
class Outcome:
    """What became of a row: its prediction, or what is wrong with it."""

    value: Value | None = None
    problem: str = ""


_UNASKED = Outcome(problem=f"not predicted, as {REFUSALS_LIMIT} rows near it can't be used")


async def complete(table: Table, endpoint: Endpoint) -> AsyncIterator[str]:
    """Yield the file with the predictions and problems as its last columns.

    Raises
    ------
    BadTable, EndpointError
        If not even the first batch can be answered; what is lost later is told in the rows.
    """
    head = table.write([[*table.header, f"{table.model.target.name} predicted", "problem"]])
    lost: EndpointError | None = None
    try:
        async for batch in _batches(table):
            if lost is None:
                try:
                    outcomes = await _outcomes(table, endpoint, batch)
                except EndpointError as error:
                    if head:
                        raise
                    lost = error
            if lost is not None:
                outcomes = dict.fromkeys(batch, Outcome(problem=str(lost)))
            yield head + _written(table, batch, outcomes)
            head = ""
    except BadTable as error:
        if head:
            raise
        yield table.write([[*("" for _ in table.header), "", str(error)]])
    else:
        if head:
            raise BadTable("The file has no rows below the first.")


async def _batches(table: Table) -> AsyncIterator[Rows]:
    """Yield the batches that have rows, and let others go on after each, be nobody waited for."""
    for batch in table.batches():
        await asyncio.sleep(0)
        if batch:
            yield batch


def _written(table: Table, batch: Rows, outcomes: dict[int, Outcome]) -> str:
    return table.write(
        [
            *cells,
            outcomes[row].value,
            outcomes[row].problem and f"row {row}, {outcomes[row].problem}",
        ]
        for row, cells in batch.items()
    )


async def _outcomes(table: Table, endpoint: Endpoint, batch: Rows) -> dict[int, Outcome]:
    sound: dict[int, list[Value]] = {}
    outcomes: dict[int, Outcome] = {}
    for row, cells in batch.items():
        try:
            sound[row] = table.values(cells)
        except ValueError as error:
            outcomes[row] = Outcome(problem=str(error))
    return outcomes | await _predict(endpoint, table.model, sound)


async def _predict(
    endpoint: Endpoint, model: Model, rows: dict[int, list[Value]]
) -> dict[int, Outcome]:
    """Predict rows: leave out the one that is refused, and halve them where they are too many."""
    rest = dict(rows)
    refused: dict[int, Outcome] = {}
    while rest:
        try:
            answer = await endpoint.predict(model, list(rest.values()))
        except Refused as error:
            if error.row is None:
                raise
            row = list(rest)[error.row - 1]
            refused[row] = Outcome(problem=_problem(error))
            del rest[row]
            if len(refused) == REFUSALS_LIMIT:
                return refused | dict.fromkeys(rest, _UNASKED)
        except TooManyRows as error:
            return refused | await _halved(endpoint, model, rest, error)
        else:
            told = zip(rest, map(Outcome, answer.values), strict=True)
            return refused | dict(told)
    return refused


async def _halved(
    endpoint: Endpoint, model: Model, rows: dict[int, list[Value]], error: TooManyRows
) -> dict[int, Outcome]:
    if len(rows) == 1:
        return dict.fromkeys(rows, Outcome(problem=str(error)))
    items = list(rows.items())
    middle = len(items) // 2
    return {
        **await _predict(endpoint, model, dict(items[:middle])),
        **await _predict(endpoint, model, dict(items[middle:])),
    }


def _problem(error: Refused) -> str:
    return f"{error.feature}: {error.problem}" if error.feature else error.problem
