"""What this server counts beside KServe's metrics, all named ``model_server_*``."""

from bisect import bisect_left
from itertools import accumulate

from prometheus_client import Counter, Gauge, Histogram

REJECTED = Counter(
    "model_server_requests_rejected",
    "Requests and connections that were turned away, by the limit that they met",
    ["reason"],
)
DISCONNECTED = Counter(
    "model_server_requests_disconnected", "Requests whose client was gone before the answer"
)
DRAINED = Counter(
    "model_server_requests_drained",
    "Requests that were in flight when the server was told to stop, or came late",
    ["when"],
)
IN_FLIGHT = Gauge("model_server_requests_in_flight", "Requests admitted and not answered yet")
MEMORY_BYTES = Gauge(
    "model_server_memory_bytes_in_flight",
    "Memory that is counted with them: bodies, what working on them may take, answers not yet read",
)
MEMORY_LIMIT = Gauge("model_server_memory_bytes_limit", "How much that may be")
QUEUE_S = Gauge("model_server_queue_seconds", "How long work for the threads would now wait")
CONNECTIONS = Gauge("model_server_connections", "Open HTTP connections")
MODEL_BROKEN = Gauge(
    "model_server_model_broken", "1 where the model fails its golden rows", ["model_name"]
)
LOG_DROPPED = Counter(
    "model_server_log_records_dropped", "Log records that nobody read in time, and that are lost"
)


WORKERS = Gauge("model_server_workers", "Processes that serve on the same ports")
WORKERS_LOST = Counter(
    "model_server_workers_lost", "Processes that ended while they served, each replaced by another"
)


class Durations:
    """A histogram in plain numbers, for use on the event loop only.

    The locks of Prometheus' own would cost a small prediction a tenth of its time.
    """

    BOUNDS_S = Histogram.DEFAULT_BUCKETS

    __slots__ = ("_counts", "sum_s")

    def __init__(self) -> None:
        self._counts = [0] * len(self.BOUNDS_S)
        self.sum_s = 0.0

    def observe(self, duration_s: float) -> None:
        """Count a duration, in seconds."""
        self._counts[bisect_left(self.BOUNDS_S, duration_s)] += 1
        self.sum_s += duration_s

    def cumulative(self) -> list[int]:
        """Return how many were at most each of the bounds."""
        return list(accumulate(self._counts))
