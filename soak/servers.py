"""Servers of the scenarios, started beside what the event loop does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.server_process import ServerProcess

HOST = "127.0.0.1"


@asynccontextmanager
async def serve(models: Path, *flags: str, log: Path) -> AsyncIterator[ServerProcess]:
    """Start a server, wait until it is ready, and end it after the block.

    Parameters
    ----------
    models : Path
        Its model directories.
    *flags : str
        Settings as on its command line.
    log : Path
        The file of its output.
    """
    server = ServerProcess(models, *flags, log=log)
    start = asyncio.create_task(asyncio.to_thread(server.__enter__))
    try:
        await asyncio.shield(start)
        yield server
    finally:
        await start
        await asyncio.to_thread(server.__exit__, None, None, None)


def rss_mb(server: ServerProcess) -> float:
    """Return its memory that is resident now, in 10^6 bytes: VmRSS of proc_pid_status(5)."""
    status = Path(f"/proc/{server.process.pid}/status").read_text(encoding="ascii")
    [kib] = [line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(kib) * 1024 / 1e6
