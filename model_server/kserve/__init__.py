"""Everything that leans on KServe's inside."""
