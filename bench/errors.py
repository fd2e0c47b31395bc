"""What stops the benchmark, as one line."""


class BenchError(Exception):
    """A program is missing, or a server ended, answered something else or failed requests."""
