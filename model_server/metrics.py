"""What this server counts beside KServe's metrics, all named ``model_server_*``."""

from prometheus_client import Counter, Gauge

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
BODY_BYTES = Gauge("model_server_body_bytes_in_flight", "Length of their bodies")
QUEUE_S = Gauge("model_server_queue_seconds", "How long work for the threads would now wait")
CONNECTIONS = Gauge("model_server_connections", "Open HTTP connections")
MODEL_BROKEN = Gauge(
    "model_server_model_broken", "1 where the model fails its golden rows", ["model_name"]
)
