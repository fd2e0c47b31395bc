"""The error that ends a training."""


class TrainingError(Exception):
    """The training can't go on; the message is one line naming the thing and the cure."""
