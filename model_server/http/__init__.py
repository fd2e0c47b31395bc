"""HTTP connections, and what a request must pass on them."""
