"""The cells of a column: one kind a module, each read alike from every format."""
