"""What comes out of a scenario."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Outcome:
    """What a scenario was asked to hold and what was seen.

    Attributes
    ----------
    asked : str
        In one clause.
    seen : str
        The figures, in one clause.
    held : bool
    """

    asked: str
    seen: str
    held: bool


def some(told: list[str]) -> str:
    """Return how many there are, with the first as an example."""
    return f"{len(told)} (the first: {told[0]})" if told else "0"
