"""Progress as it is shown: a bar on a terminal, elsewhere a line for each new thing."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

Progress = Callable[[str, int, int], None]
"""Called with what is being done, the steps that are done and the steps in all."""


@contextmanager
def show(console: Console, name: str) -> Iterator[Progress]:
    """Show the progress of the model `name` while the block runs."""
    if not console.is_terminal:
        yield lambda what, _done, _total: console.print(f"{name}: {what}")
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task(name)
        yield lambda what, done, total: bar.update(
            task, description=f"{name}: {what}", completed=done, total=total
        )
