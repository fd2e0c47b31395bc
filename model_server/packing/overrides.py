"""What a person knows of a model that neither it nor its sample tells, in a small TOML file."""

import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from model_server.model.manifest import LARGEST_TOLERANCE, Surplus, Type
from model_server.packing.errors import NotPacked


class TargetOverrides(BaseModel):
    """What is predicted.

    Attributes
    ----------
    name, description, unit : str
    threshold : float, optional
        The least probability of the second of two classes at which it is predicted.
    """

    model_config = ConfigDict(extra="forbid")

    name: str = ""
    description: str = ""
    unit: str = ""
    threshold: Annotated[float, Field(ge=0, le=1)] | None = None


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
    surplus : str
        Whether columns that are no features are refused where they come, or ignored.
    tolerance : float, optional
        What a graph's numbers may be off by, of themselves and of the range of all, if not by a
        double's or a float32's rounding alone. Labels are the same whatever it is.
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
    surplus: Surplus = "refused"
    tolerance: Annotated[float, Field(gt=0, le=LARGEST_TOLERANCE)] | None = None


def changed(overrides: Overrides, **given: object) -> Overrides:
    """Return overrides with what else is given.

    Raises
    ------
    NotPacked
    """
    more = {name: value for name, value in given.items() if value not in (None, ())}
    return _validated({**overrides.model_dump(exclude_unset=True), **more}, "the command line")


def read(path: Path | None) -> Overrides:
    """Read them.

    Raises
    ------
    NotPacked
    """
    if path is None:
        return Overrides()
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise NotPacked(f"{path}: can't be read ({error.strerror})", "check its path") from error
    except tomllib.TOMLDecodeError as error:
        raise NotPacked(f"{path}: is not TOML ({error})", "correct it") from error
    return _validated(told, str(path))


def _validated(told: dict[str, object], whose: str) -> Overrides:
    try:
        return Overrides.model_validate(told)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise NotPacked(
            f"{whose}: {where}: {first['msg']}",
            f"its tables are {', '.join(Overrides.model_fields)}",
        ) from error
