"""What a person knows of a model that neither it nor its sample tells, in a small TOML file."""

import tomllib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from model_server.model.manifest import Type
from model_server.packing.errors import NotPacked


class TargetOverrides(BaseModel):
    """What is predicted."""

    model_config = ConfigDict(extra="forbid")

    name: str = ""
    description: str = ""
    unit: str = ""


class Overrides(BaseModel):
    """Tables by the name of the column.

    Attributes
    ----------
    description : str
        Of the model.
    types : dict of str to str
    units, descriptions : dict of str to str
    missing, unknown : dict of str to bool
        Whether a value may be missing, and a category one that is not listed.
    target : TargetOverrides
    outputs : tuple of str
        What the model must give beside its predictions, without a graph if that gives it not.
    """

    model_config = ConfigDict(extra="forbid")

    description: str = ""
    types: dict[str, Type] = {}
    units: dict[str, str] = {}
    descriptions: dict[str, str] = {}
    missing: dict[str, bool] = {}
    unknown: dict[str, bool] = {}
    target: TargetOverrides = TargetOverrides()
    outputs: tuple[str, ...] = ()


def read(path: Path | None) -> Overrides:
    """Read them.

    Raises
    ------
    NotPacked
    """
    if path is None:
        return Overrides()
    try:
        return Overrides.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise NotPacked(f"{path}: can't be read ({error.strerror})", "check its path") from error
    except tomllib.TOMLDecodeError as error:
        raise NotPacked(f"{path}: is not TOML ({error})", "correct it") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise NotPacked(
            f"{path}: {where}: {first['msg']}",
            f"its tables are {', '.join(Overrides.model_fields)}",
        ) from error
