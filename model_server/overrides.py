"""What this server overrides and uses of other packages that they promise to no one.

Looked for once, at the start: what a release has renamed would else be found out by clients, one
request after the other, or by no one.
"""

from collections.abc import Iterable, Mapping
from importlib import metadata

from model_server.errors import ModelServerError

RANGES = {
    "kserve": ("kserve", ">=0.21,<0.22"),
}
"""The packages, by the names of their modules, each with the versions that are known to work."""


def check(overriding: Iterable[type], used: Mapping[type, Iterable[str]]) -> None:
    """See that everything is there.

    Parameters
    ----------
    overriding : iterable of type
        Classes whose methods marked with ``typing_extensions.override`` are looked for on what they
        inherit from.
    used : mapping of type to iterable of str
        Attributes that are used beside, by the classes that have them or set them when they are
        made.

    Raises
    ------
    ModelServerError
        Naming package, version and the versions that work.
    """
    for own in overriding:
        for name, member in vars(own).items():
            if getattr(member, "__override__", False):
                _look(own.__mro__[1:], name)
    for other, names in used.items():
        for name in names:
            _look((other,), name)


def _look(classes: tuple[type, ...], name: str) -> None:
    if any(_has(one, name) for one in classes):
        return
    package, versions = RANGES[classes[0].__module__.partition(".")[0]]
    raise ModelServerError(
        f"{package} {metadata.version(package)} has no {classes[0].__qualname__}.{name}, which "
        f"this server needs; install {package}{versions}"
    )


def _has(one: type, name: str) -> bool:
    code = getattr(one.__init__, "__code__", None)  # type: ignore[misc]
    return hasattr(one, name) or (code is not None and name in code.co_names)
