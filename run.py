"""``make run``: the model server and the application side by side, until a signal or an end.

Each has a session of its own, so that Ctrl-C reaches it once: as the SIGTERM sent from here.
"""

import argparse
import asyncio
import contextlib
import signal
import socket
import sys

import httpx

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> int:
    """Run both; return the exit status, which is 0 where a signal ended them."""
    parser = argparse.ArgumentParser(prog="run.py", description=(__doc__ or "").split("\n")[0])
    for flag, port in (("--port", 8080), ("--grpc-port", 8081), ("--application-port", 8000)):
        parser.add_argument(flag, type=int, default=port, help="default: %(default)s")
    chosen = parser.parse_args()
    for name, port in vars(chosen).items():
        if _is_taken(port):
            sys.stderr.write(f"port {port} is taken: choose another, {name.upper()}=...\n")
            return 1
    sys.stdout.write("Starting the server and its pages\n")
    sys.stdout.flush()
    return asyncio.run(Pair().run(chosen.port, chosen.grpc_port, chosen.application_port))


class Pair:
    """The two processes, by their modules."""

    def __init__(self) -> None:
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._stopping = False

    async def run(self, port: int, grpc_port: int, application_port: int) -> int:
        """Start both, and wait until both have ended."""
        for number in SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, self._stop)
        flags = ("--http-port", str(port), "--grpc-port", str(grpc_port), "--print-example")
        await self._start("model_server", *flags)
        endpoint = f"http://127.0.0.1:{port}"
        await self._start(*("application", "--port", str(application_port), "--endpoint", endpoint))
        telling = asyncio.create_task(_tell(f"{endpoint}/v2/health/ready", application_port))
        if self._stopping:
            self._stop()
        ends = [asyncio.create_task(self._end(module)) for module in self._processes]
        statuses = await asyncio.gather(*ends)
        telling.cancel()
        return int(any(status not in {0, -signal.SIGTERM} for status in statuses))

    async def _start(self, module: str, *flags: str) -> None:
        self._processes[module] = await asyncio.create_subprocess_exec(
            sys.executable, "-m", module, *flags, start_new_session=True
        )

    async def _end(self, module: str) -> int:
        """Wait until a process ends; where none was asked to, end the other as well."""
        status = await self._processes[module].wait()
        if not self._stopping:
            sys.stderr.write(f"{module} ended with status {status}, so both end\n")
            self._stop()
            return status or 1
        return status

    def _stop(self) -> None:
        """Ask both to end; at a second signal, they know to hurry."""
        self._stopping = True
        for process in self._processes.values():
            with contextlib.suppress(ProcessLookupError):
                process.terminate()


async def _tell(server: str, application_port: int) -> None:
    """Tell where the application is, once both are ready."""
    async with httpx.AsyncClient() as client:
        await _until_ready(client, server)
        await _until_ready(client, f"http://127.0.0.1:{application_port}/healthz/ready")
    sys.stdout.write(f"Open http://localhost:{application_port}/\n\n")
    sys.stdout.flush()


async def _until_ready(client: httpx.AsyncClient, address: str) -> None:
    while True:
        with contextlib.suppress(httpx.TransportError):
            if (await client.get(address)).is_success:
                return
        await asyncio.sleep(0.1)


def _is_taken(port: int) -> bool:
    try:
        socket.create_server(("", port)).close()
    except OSError:
        return True
    return False


if __name__ == "__main__":
    sys.exit(main())
