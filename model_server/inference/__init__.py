"""The one way from a request to a prediction, whatever the protocol."""
