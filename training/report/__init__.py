"""The report of a model: one HTML page for a person, with its plots."""
