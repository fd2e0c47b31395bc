"""``python -m bench.pages``: measure the application's pages, on a CPU of their own."""

import argparse
import contextlib
import datetime
import sys
import tempfile
from pathlib import Path

from bench.cpus import pinned, usable
from bench.errors import BenchError
from bench.wrk import Load, Request, Wrk
from harness import machine, table
from harness.processes import ApplicationProcess, ServerProcess, StartError

FIRST, ANSWER = "/", "/models/rooms/answer?RM=6.5"
PAGE_LIMIT_MS = 100
LEAST_PER_S = 200

_SECONDS, _CONNECTIONS = 10, 16


def main() -> int:
    """Measure, and print or write the table; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.pages",
        description="Measure the application on one CPU; the model server and the load have "
        "another.",
    )
    parser.add_argument("--models", type=Path, default=Path("models"), help="(%(default)s)")
    parser.add_argument("--seconds", type=int, default=_SECONDS, help="a load (%(default)s)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="put the table into this page")
    arguments = parser.parse_args()
    try:
        report = measure(arguments.models, arguments.seconds)
    except (BenchError, StartError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(report, end="")
    if arguments.out:
        page = arguments.out.read_text(encoding="utf-8")
        arguments.out.write_text(table.place(report, page, "pages"), encoding="utf-8")
    return 0


def measure(models: Path, seconds: int) -> str:
    """Return the table of what was measured.

    Raises
    ------
    BenchError
        If there is one CPU only, wrk is missing or a request failed.
    """
    others = machine.Others()
    cpu, *_, load_cpu = usable()
    with tempfile.TemporaryDirectory(prefix="bench-pages-") as name, pinned(load_cpu):
        folder = Path(name)
        wrk = Wrk(folder)
        with contextlib.ExitStack() as stack:
            server = stack.enter_context(ServerProcess(models, log=folder / "server"))
            with pinned(cpu):
                application = stack.enter_context(
                    ApplicationProcess(server.url, "--rate-limit", "0", log=folder / "application")
                )
            loads = {
                (path, connections): wrk.run(_get(application, path), connections, seconds)
                for path, connections in ((FIRST, 1), (ANSWER, 1), (ANSWER, _CONNECTIONS))
            }
            length = len(application.client.get(FIRST).content)
    return _report(loads, length, others.share())


def _get(application: ApplicationProcess, path: str) -> Request:
    return Request(application.url + path, b"", "text/html", method="GET")


def _report(loads: dict[tuple[str, int], Load], length: int, others: float) -> str:
    first, busy = loads[FIRST, 1], loads[ANSWER, _CONNECTIONS]
    rows = [
        (path, str(connections), *table.figures(load.requests_per_s, load.p50_ms, load.p99_ms))
        for (path, connections), load in loads.items()
    ]
    marks = [
        (
            "the first page",
            f"p99 at most {PAGE_LIMIT_MS} ms",
            f"{first.p99_ms:.3g} ms",
            "yes" if first.p99_ms <= PAGE_LIMIT_MS else "no",
        ),
        (
            "predictions on one CPU",
            f"at least {LEAST_PER_S}/s",
            f"{busy.requests_per_s:,.0f}/s",
            "yes" if busy.requests_per_s >= LEAST_PER_S else "no",
        ),
    ]
    header = ("page", "connections", "requests/s", "p50 [ms]", "p99 [ms]")
    date = datetime.datetime.now(datetime.UTC).date().isoformat()
    return "\n".join(
        [
            f"- date: {date}",
            f"- CPU: {machine.facts()['CPU']}; the application has one of them to itself",
            f"- the first page has {length:,} bytes of HTML, before compression",
            f"- other processes took about {others:.0%} of the CPUs' time",
            "",
            *table.aligned(header, rows, numbers=slice(1, None)),
            "",
            *table.aligned(("mark", "asked", "measured", "holds"), marks, numbers=slice(2, 3)),
            "",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
