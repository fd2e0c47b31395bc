"""The page of results: a row for each scenario, the newest that was seen."""

import datetime
import re
import subprocess
from collections.abc import Mapping

from harness import machine, table
from harness.processes import ROOT
from soak.scenario import Outcome

_FACTS = ("CPU", "kernel", "Python", "libraries")
_HEADER = ("scenario", "asked", "seen", "held", "date", "commit")
_ROW = re.compile(r"^\| (\w+) \|.* \| \d{4}-\d\d-\d\d \| \S+ \|$", re.MULTILINE)


def update(page: str, outcomes: Mapping[str, Outcome]) -> str:
    """Return a page with what was seen just now in place of what was seen before.

    Parameters
    ----------
    page : str
        Has a place for results; the rows of other scenarios in it are kept.
    outcomes : mapping of str to Outcome
        By the scenario's name.
    """
    facts = machine.facts()
    rows = {found[1]: found[0] for found in _ROW.finditer(page)}
    rows |= {name: _row(name, outcome) for name, outcome in outcomes.items()}
    lines = [
        *(f"- {name}: {facts[name]}" for name in _FACTS),
        "",
        table.row(_HEADER),
        table.row(["-"] * len(_HEADER)),
        *rows.values(),
        "",
    ]
    return table.place("\n".join(lines), page)


def _row(name: str, outcome: Outcome) -> str:
    date = datetime.datetime.now(datetime.UTC).date().isoformat()
    held = "yes" if outcome.held else "**no**"
    return table.row((name, outcome.asked, outcome.seen, held, date, _commit()))


def _commit() -> str:
    """Return the commit that is checked out, marked where files differ from it."""
    command = ["git", "describe", "--always", "--exclude", "*", "--dirty"]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()
