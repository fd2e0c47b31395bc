"""A web application for people beside a model server: forms, predictions in words, CSV files."""
