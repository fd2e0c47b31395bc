"""Long trials of the server: what it must hold under faults, load and hostile input."""
