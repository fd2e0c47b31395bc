"""Train, compare and package the models that the server serves."""
