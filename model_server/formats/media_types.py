"""The media types that are read and written."""

JSON = "application/json"
JSON_LINES = "application/jsonlines"
CSV = "text/csv"
