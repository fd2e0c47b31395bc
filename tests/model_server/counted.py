"""What a server's own metrics say."""

from harness.processes import ServerProcess


def metric(server: ServerProcess, name: str) -> float:
    """Return a metric, by its name with its labels; 0 where there is none yet."""
    for line in server.client.get("/metrics").text.splitlines():
        if line.startswith(name + " "):
            return float(line.split()[1])
    return 0.0


def rejected(server: ServerProcess, reason: str) -> float:
    return metric(server, f'model_server_requests_rejected_total{{reason="{reason}"}}')


def in_flight(server: ServerProcess) -> float:
    return metric(server, "model_server_requests_in_flight")
