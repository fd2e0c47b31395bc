"""The leaderboard: how the candidates did and which was chosen, in the terminal."""

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from training.comparison import Comparison


def show(console: Console, comparison: "Comparison") -> None:
    """Print each candidate's mean scores, the chosen one's in bold, and why it was chosen."""
    chosen = comparison.chosen
    shown = Table(box=None, pad_edge=False)
    shown.add_column("candidate", no_wrap=True)
    for score in chosen.scores:
        shown.add_column(score, justify="right", no_wrap=True)
    for result in (*comparison.results, comparison.baseline):
        cells = [f"{result.mean(score):,.4g}" for score in chosen.scores]
        shown.add_row(result.candidate.name, *cells, style="bold" if result is chosen else "")
    console.print(shown)
    console.print(f"chosen: {chosen.candidate.name}, for {comparison.reason}")
