"""The card: what a model is for and what it is not, in words for a person."""

from dataclasses import dataclass
from typing import Annotated, Self

from pydantic import TypeAdapter, ValidationError

from model_server.model.manifest import Manifest
from training.dataset import Dataset
from training.errors import TrainingError

_NAME: TypeAdapter[str] = TypeAdapter(Annotated[str, Manifest.model_fields["name"]])


@dataclass(frozen=True)
class ModelCard:
    """The words that the data can't say itself.

    Attributes
    ----------
    name, title, description : str
    source, intended, disputed : str
        Where the data is from, what the model is for, and what is wrong with either.
    not_for : tuple of str
        Uses that are out of bounds.
    limits : tuple of str
    cap : float, optional
        Where the recorded target stops, whatever the truth was.

    Raises
    ------
    TrainingError
        If the manifest refuses the name.
    """

    name: str
    title: str
    description: str
    source: str
    intended: str = ""
    disputed: str = ""
    not_for: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()
    cap: float | None = None

    def __post_init__(self) -> None:
        try:
            _NAME.validate_python(self.name)
        except ValidationError:
            raise TrainingError(
                f"model name {self.name!r} is refused; use 1 to 63 letters, digits, '.', '_' or "
                "'-', with a letter or digit at both ends"
            ) from None

    @classmethod
    def plain(cls, name: str, dataset: Dataset, source: str) -> Self:
        """Return the card of a data set of which nothing more is known."""
        target = dataset.target.name
        read = ", ".join(feature.name for feature in dataset.features)
        return cls(name, f"{target}, predicted", f"{target} from {read}.", source)
