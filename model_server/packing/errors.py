"""What keeps a model from being packed."""

from model_server.errors import ModelServerError


class NotPacked(ModelServerError):
    """A model, a sample or a setting is at fault; the message names it and the cure on one line.

    Parameters
    ----------
    problem, cure : str
        Clauses.
    """

    def __init__(self, problem: str, cure: str) -> None:
        super().__init__(" ".join(f"{problem}; {cure}".split()))
        self.problem, self.cure = problem, cure
