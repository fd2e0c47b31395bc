"""What KServe imports and this server does not need, left until it is used.

Of a start from nothing to the first answer most was these imports: Kubernetes' client, which the
package itself asks for, and pandas, which no route uses.
"""

import contextlib
import importlib
import importlib.util
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any


class _Deferred(ModuleType):
    """Stand in for a module: any name while it is deferred, the module's own afterwards."""

    deferring = True

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if self.deferring:
            return Any
        return getattr(importlib.import_module(self.__name__), name)


class _Package(ModuleType):
    """A package whose own code has not run: it does when something is asked of it.

    Its modules are there without that.
    """

    ran = False

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or self.ran:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        module = f"{self.__name__}.{name}"
        if importlib.util.find_spec(module) is not None:
            return importlib.import_module(module)
        self.ran = True
        self.__spec__.loader.exec_module(self)  # type: ignore[union-attr]
        return getattr(self, name)


@contextlib.contextmanager
def deferred(name: str) -> Iterator[None]:
    """Keep imports in this context from loading a module that they only need in annotations.

    Who imported it there keeps a stand-in, which loads the module when it is first used. Everyone
    else imports the module itself.
    """
    if name in sys.modules:
        yield
        return
    stand_in = _Deferred(name)
    sys.modules[name] = stand_in
    try:
        yield
    finally:
        stand_in.deferring = False
        del sys.modules[name]


@contextlib.contextmanager
def own_code_deferred(*names: str) -> Iterator[None]:
    """Have modules of packages imported, here and later, without what the packages' own code does.

    That runs once something else is asked of one, as by ``from kserve import KServeClient``.
    """
    for name in names:
        spec = importlib.util.find_spec(name)
        if name not in sys.modules and spec is not None:
            package = _Package(name)
            package.__spec__, package.__package__, package.__file__ = spec, name, spec.origin
            package.__path__ = list(spec.submodule_search_locations or ())
            sys.modules[name] = package
    yield
