"""The media types that are read and written."""

JSON = "application/json"
JSON_LINES = "application/jsonlines"
CSV = "text/csv"
BINARY = "application/octet-stream"
FORM = "application/x-www-form-urlencoded"
"""What curl says of a body of which nothing is said."""
