"""The page of the coverage."""

from collections.abc import Mapping, Sequence

from soak.coverage.sweep import Result

_SHOWN = 160

HEAD = """# What of scikit-learn is served

`python -m soak.coverage --out docs/coverage.md` wrote this. Each estimator of scikit-learn and each
pipeline was packed from a sample, all were served by one process, and asked for every output over
v1 (JSON, JSON Lines, CSV), v2 (JSON, binary) and gRPC: rows that were seen, rows held out, and odd
ones (a value missing, a zero, a label never seen) as far as the estimator itself answers them.
Labels are the same; numbers agree to 1e-6 of themselves and of the largest of all, at the least.
"""


def totals(results: Sequence[Result]) -> str:
    """Tell in a line how many are served, and how."""
    count = {
        kind: sum(result.runtime == kind for result in results)
        for kind in ("graph", "estimator", "refused")
    }
    wrong = sum(bool(result.problems) for result in results)
    answers = sum(result.answers for result in results)
    return (
        f"{len(results)}: {count['graph']} from a graph, {count['estimator']} from the estimator, "
        f"{count['refused']} refused when they were packed, {wrong} wrong; {answers:,} answers"
    )


def render(results: Mapping[str, Sequence[Result]]) -> str:
    """Write the page."""
    parts = [HEAD]
    for title, found in results.items():
        parts.append(f"## {title}\n\n{totals(found)}.\n")
        rows = [
            f"| {_plain(result.name)} | {result.runtime} | {_plain(_told(result))[:_SHOWN]} |"
            for result in found
        ]
        parts.append("\n".join(["| | from | |", "|-|-|-|", *rows]) + "\n")
    return "\n".join(parts)


def read(text: str) -> dict[str, dict[str, str]]:
    """Return by title and name what each came from, as a page tells it."""
    told: dict[str, dict[str, str]] = {}
    for part in text.split("\n## ")[1:]:
        rows = [line.split(" | ") for line in part.splitlines() if line.startswith("| ")]
        told[part.splitlines()[0]] = {row[0].removeprefix("| "): row[1] for row in rows[1:]}
    return told


def _told(result: Result) -> str:
    return "; ".join(result.problems) or result.told


def _plain(text: str) -> str:
    return " ".join(text.split()).replace("|", "/")
