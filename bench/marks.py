"""The marks: what this server is asked to reach, each a ratio within one round."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.models import BOOSTING, COLUMNS, FOREST, HISTOGRAM, TEXTS
from bench.rounds import (
    BESIDE,
    ONE_ROW_1,
    ONE_ROW_32,
    P50,
    P99,
    PROCESS,
    QUIET,
    RATE,
    ROWS_CSV,
    ROWS_JSON,
    RSS,
    START,
    V2_ROW_32,
    Figures,
    Key,
)
from bench.servers import CEILING, OURS, STOCK

ALLOWED_BESIDE_MS = 10.0


@dataclass(frozen=True)
class Mark:
    """A bound on a ratio.

    Attributes
    ----------
    name : str
    unit : str
        What the ratio is to.
    ratio : callable
        Takes the figures of a round.
    bound : float
    least : bool
        Whether the ratio must be at least the bound, rather than at most.
    """

    name: str
    unit: str
    ratio: Callable[[Figures], float]
    bound: float
    least: bool

    @property
    def asked(self) -> str:
        """The bound in words."""
        return f"at {'least' if self.least else 'most'} {self.bound:.3g} {self.unit}"

    def ratios(self, rounds: Sequence[Figures]) -> list[float]:
        """Return the ratio of each round."""
        return [self.ratio(figures) for figures in rounds]

    def holds(self, rounds: Sequence[Figures]) -> bool:
        """Tell whether the median of the ratios is within the bound."""
        median = statistics.median(self.ratios(rounds))
        return median >= self.bound if self.least else median <= self.bound


def _to(server: str, model: str, load: str, figure: str) -> Callable[[Figures], float]:
    return lambda figures: (
        figures[Key(model, OURS, load, figure)] / figures[Key(model, server, load, figure)]
    )


def _csv_to_json(figures: Figures) -> float:
    return (
        figures[Key(BOOSTING, OURS, ROWS_CSV, P50)] / figures[Key(BOOSTING, OURS, ROWS_JSON, P50)]
    )


def _beside_to_allowed(figures: Figures) -> float:
    quiet = figures[Key(BOOSTING, OURS, QUIET, P99)]
    return figures[Key(BOOSTING, OURS, BESIDE, P99)] / (3 * quiet + ALLOWED_BESIDE_MS)


OF_STOCK = "times stock's"
OF_CEILING = "times the ceiling's"

MARKS = (
    Mark(
        "requests/s, one row, 32 connections",
        OF_STOCK,
        _to(STOCK, BOOSTING, ONE_ROW_32, RATE),
        bound=14,
        least=True,
    ),
    Mark(
        "requests/s, one row, 32 connections",
        OF_CEILING,
        _to(CEILING, BOOSTING, ONE_ROW_32, RATE),
        bound=0.6,
        least=True,
    ),
    Mark(
        "p99, one row, 32 connections",
        OF_STOCK,
        _to(STOCK, BOOSTING, ONE_ROW_32, P99),
        bound=1 / 15,
        least=False,
    ),
    Mark(
        "requests/s of the random forest, one row, 32 connections",
        OF_STOCK,
        _to(STOCK, FOREST, ONE_ROW_32, RATE),
        bound=60,
        least=True,
    ),
    Mark(
        "requests/s of v2, one row, 32 connections",
        "times stock's v2",
        _to(STOCK, BOOSTING, V2_ROW_32, RATE),
        bound=30,
        least=True,
    ),
    *(
        Mark(
            f"requests/s of the {title}, one row, 32 connections",
            OF_STOCK,
            _to(STOCK, title, ONE_ROW_32, RATE),
            bound=15,
            least=True,
        )
        for title in (HISTOGRAM, COLUMNS, TEXTS)
    ),
    Mark(
        "p50, one row, 1 connection",
        OF_CEILING,
        _to(CEILING, BOOSTING, ONE_ROW_1, P50),
        bound=1.7,
        least=False,
    ),
    Mark(
        "p50, 1,000 rows of JSON",
        OF_STOCK,
        _to(STOCK, BOOSTING, ROWS_JSON, P50),
        bound=1 / 1.6,
        least=False,
    ),
    Mark("p50, 1,000 rows of CSV", "times that of JSON", _csv_to_json, bound=1.5, least=False),
    Mark(
        "start to first 200",
        OF_STOCK,
        _to(STOCK, BOOSTING, PROCESS, START),
        bound=0.6,
        least=False,
    ),
    Mark("RSS after the run", OF_STOCK, _to(STOCK, BOOSTING, PROCESS, RSS), bound=0.8, least=False),
    Mark(
        "p99 of one row beside batches of 5,000",
        f"times (3 times its quiet value + {ALLOWED_BESIDE_MS:g} ms)",
        _beside_to_allowed,
        bound=1,
        least=False,
    ),
)
