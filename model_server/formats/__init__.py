"""Bodies in and out: one module a format, each with a reader and a writer."""
